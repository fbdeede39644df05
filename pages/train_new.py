"""The upper part of the train page: a preset, its fields, what it will take, and the start."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from covidcore.data.index import Dataset
from covidcore.data.split import digest, summary
from covidcore.errors import CovidcoreError, RecipeError
from covidcore.jobs.demo import DEMO_WEIGHTS
from covidcore.jobs.estimate import Forecaster, parts_in_words, probing, start_probe, to_probe
from covidcore.jobs.folder import State
from covidcore.jobs.info import RunInfo
from covidcore.jobs.plan import DEALERS, plan_split
from covidcore.jobs.store import RunStore
from covidcore.model.at_hand import at_hand
from covidcore.model.weights import Weights
from covidcore.training.recipe import CHOICES, PRESETS, Recipe
from covidcore.wording import markdown, percent, visible
from pages import shared, shared_demo, train_link, train_sweeps

WEIGHTS = ("auto", "imagenet", "radiographs", "none")
FIELDS = {
    "epochs": ("Epochs", "Passes over the training images."),
    "learning_rate": ("Learning rate", "The highest rate of the schedule."),
    "batch_size": ("Images a step", "More are steadier, and need more memory."),
    "seed": ("Seed", "Of the split, the last layer, the order of images and the augmentation."),
    "arch": ("Network", "A torchvision architecture; resnet18 is the smallest of the ResNets."),
    "weights": (
        "Starting weights",
        "auto takes ImageNet's where they can be had, else the radiograph backbone. The path of a "
        ".safetensors or .pth file may be typed as well.",
    ),
    "trainable": ("What is trained", "The last layer, the last stage too, or everything."),
    "image_size": ("Image size", "Pixels a side of what the network sees, 32 to 512."),
    "augment": (
        "Augmentation",
        "Slight turns, shifts, brightness; strong goes further and hides borders and corners. "
        "Never a mirror image.",
    ),
    "schedule": ("Schedule", "How the learning rate changes: to zero along a cosine, say."),
    "weight_decay": ("Weight decay", "AdamW's; it keeps weights small."),
    "label_smoothing": ("Label smoothing", "0 to 0.5: how much certainty is held back."),
    "class_weights": ("Class weights", "balanced lets rare classes count as much as common ones."),
    "patience": ("Patience", "Stop after so many epochs without a better one; 0: never."),
    "split": ("Train/validation/test, %", "Per cent of the images in each set."),
    "group_by": ("Never divided", "Images of one patient, say, all go to the same set."),
    "exclude_sources": ("Sources left out", "Images of these take no part at all."),
    "known_images": (
        "Images known to the weights",
        "train keeps what the starting weights were trained on out of validation and test; any "
        "deals it like all else, and flatters.",
    ),
    "precision": ("Number format", "auto takes bf16 where a short trial shows it to be faster."),
}
"""Fields that are worth changing, with their names and a sentence each."""


@dataclass(frozen=True)
class Outlook:
    """What is known of a recipe before it is submitted."""

    existing: RunInfo | None
    time: str
    """What it will take, or why that is not known."""
    parts: str = ""


@st.cache_data(max_entries=32, show_spinner=False)
def planned(
    fingerprint: str, dealers: tuple[Any, ...], start: str, _weights: Weights | None, home: Path
) -> tuple[pd.DataFrame, str]:
    """Images of each class and set, and the digest of the split; dealing takes a tenth second.

    ``dealers`` are the values of the recipe's fields ``DEALERS``, ``start`` the weights' id.
    """
    recipe = Recipe(**dict(zip(DEALERS, dealers, strict=True)))
    table = plan_split(recipe, shared.open_dataset(fingerprint, home), _weights)
    return summary(table), digest(table)


def new_run(store: RunStore, dataset: Dataset, infos: list[RunInfo]) -> None:
    """Cards, fields and the button; measures in the background what is not known yet."""
    st.header(f"New run on {markdown(dataset.name)}", anchor=False)
    settings = store.settings
    chosen = st.session_state.setdefault("preset", next(iter(PRESETS)))
    idle = all(info.state is not State.RUNNING for info in infos)
    if idle:  # a probe beside a run would slow it, and measure the crowd
        others = [preset.recipe for name, preset in PRESETS.items() if name != chosen]
        presets = [PRESETS[chosen].recipe, *others]
        start_probe(settings, dataset, to_probe(settings, dataset, presets))

    @st.fragment(run_every="1s" if probing(settings) else None)
    def section(ticking: bool) -> None:
        if ticking and not probing(settings):
            st.rerun()  # before anything is drawn, so that no button is drawn and lost
        finished = store.places([info for info in infos if info.state is State.DONE])
        forecaster = Forecaster(settings, finished)
        with shared.told():
            _cards(store, dataset, forecaster, idle)
            recipe, problems = _fields(store, st.session_state["preset"], dataset)
            for problem in problems:
                st.error(shared_demo.sentence(problem), icon=":material/error:")
            _start(store, dataset, forecaster, None if problems else recipe, idle)

    section(probing(settings))


def _cards(store: RunStore, dataset: Dataset, forecaster: Forecaster, idle: bool) -> None:
    """The presets side by side, each with what it does, gives and takes."""
    presets = {name: preset for name, preset in PRESETS.items() if store.rules.offers(name)}
    times = {
        name: look_ahead(store, dataset, store.rules.start(preset.recipe), forecaster, idle).time
        for name, preset in presets.items()
    }  # all of them first, so that the cards appear at once
    with st.grid(4, min_column_width=180):
        for name, preset in presets.items():
            chosen = st.session_state["preset"] == name
            with st.container(border=True, height="stretch"):
                mark = " :blue-badge[:material/check: chosen]" if chosen else ""
                st.subheader(f"{preset.title}{mark}", anchor=False)
                st.markdown(f"**Trains:** {preset.trains}")
                st.markdown(preset.gives)
                st.markdown(f":material/schedule: {times[name]}")
                st.space("stretch")
                st.button(
                    f"{preset.title} is chosen" if chosen else f"Choose {preset.title.lower()}",
                    key=f"choose-{name}",
                    type="primary" if chosen else "secondary",
                    disabled=chosen,
                    width="stretch",
                    on_click=st.session_state.__setitem__,
                    args=("preset", name),
                )


def _fields(store: RunStore, name: str, dataset: Dataset) -> tuple[Recipe, list[str]]:
    """The preset's recipe with what was changed under Advanced, and what is wrong with that."""
    start = store.rules.start(PRESETS[name].recipe)
    typed: dict[str, str] = {}
    excluded: list[str] = []
    link = train_link.carried(dataset)
    # Open where a link has filled fields in, so that they are seen.
    more = st.expander("Advanced", bool(link.mark), icon=":material/tune:")
    with more, st.grid("auto", min_column_width=190):
        for field, (title, about) in FIELDS.items():
            if not store.rules.frees(field):
                typed[field] = f"{getattr(start, field)}"
                continue
            given = link.fields.get(field, getattr(start, field))
            key = f"{name}-{field}{link.mark if field in train_link.FIELDS else ''}"
            weights = DEMO_WEIGHTS if store.rules.bounded else WEIGHTS
            choices = weights if field == "weights" else CHOICES.get(field)
            if field == "exclude_sources":
                sources = sorted(set(dataset.index["source"]) - {""})
                excluded = st.multiselect(
                    title, sources, link.sources, key=f"{key}-{dataset.fingerprint}", help=about,
                    format_func=visible, placeholder="none",
                )  # fmt: skip
            elif choices:
                typed[field] = st.selectbox(
                    title, choices, choices.index(given), key=key, help=about,
                    accept_new_options=field == "weights" and not store.rules.bounded,
                )  # fmt: skip
            else:
                typed[field] = st.text_input(title, f"{given}", key=key, help=about)
    # These two belong to one way of training each, and go with it.
    if typed["trainable"] != "head":
        typed["standardise"] = "false"
    if typed["trainable"] != "all":
        typed["progressive"] = "false"
    recipe, problems = _checked(replace(start, exclude_sources=tuple(excluded)), typed)
    try:  # before a file that the recipe names is looked at
        store.rules.check_recipe(recipe, dataset.synthetic)
    except CovidcoreError as error:
        problems.append(str(error))
    return recipe, problems


def _checked(start: Recipe, typed: dict[str, str]) -> tuple[Recipe, list[str]]:
    """Every field that can not be what was typed has its sentence, not only the first."""
    free = {**start.to_json(), "standardise": False, "progressive": False}
    problems = []
    for field, text in typed.items():
        try:
            Recipe.from_json(free).with_overrides({field: text})
        except RecipeError as error:
            problems.append(str(error))
    if problems:
        return start, problems
    try:
        return start.with_overrides(typed), []
    except RecipeError as error:
        return start, [str(error)]


def _start(
    store: RunStore, dataset: Dataset, forecaster: Forecaster, recipe: Recipe | None, idle: bool
) -> None:
    """The button, beside it what the run will take; or the way to the run that exists."""
    if recipe is None:
        st.button("Train", disabled=True, icon=":material/play_arrow:", help="Mend that first.")
        return
    outlook = look_ahead(store, dataset, recipe, forecaster, idle)
    run = outlook.existing
    label, icon, told = "Train", ":material/play_arrow:", f"**Time:** {outlook.time}"
    if run and run.state is State.DONE:
        label, icon = "Open it", ":material/folder_open:"
        told = f"**You have run this already:** {percent(run.accuracy)} on its test images."
    elif run and not run.state.ended:
        label, icon, told = "Follow it", ":material/visibility:", f"**This run is {run.state}.**"
    elif run:
        how = "failed" if run.state is State.FAILED else f"was {run.state}"
        label, told = "Resume it", f"**You began this, and it {how}.** It goes on where it was."
    with st.container(horizontal=True, vertical_alignment="center"):
        go = st.button(label, type="primary", icon=icon, key="start")
        st.markdown(told, width="content")
    if outlook.parts and label == "Train":
        st.caption(f"{outlook.parts}. Nothing else running on this machine is assumed.")
    with st.expander("Who is in which set", icon=":material/groups:"):
        st.dataframe(
            split_of(recipe, dataset, store)[0].rename_axis("class"),
            alt="Images of each class and set",
        )
    if not store.rules.bounded:
        train_sweeps.vary(store, dataset, recipe)
    if go:
        _submit(store, dataset, recipe, run)


def _submit(store: RunStore, dataset: Dataset, recipe: Recipe, known: RunInfo | None) -> None:
    if known and (known.state is State.DONE or not known.state.ended):
        shared.choose("run", known.run)
    submission = store.submit(recipe, dataset)
    if submission.cached:
        shared.note("This very run was finished before: here it is.")
    if submission.note:
        shared.note(submission.note)
    shared.choose("run", submission.run)


def split_of(recipe: Recipe, dataset: Dataset, store: RunStore) -> tuple[pd.DataFrame, str]:
    """Images of each class and set under a recipe, and the split's digest."""
    weights = at_hand(recipe.weights, recipe.arch, store.settings)
    dealers = tuple(getattr(recipe, name) for name in DEALERS)
    start = weights.id if weights else ""
    return planned(dataset.fingerprint, dealers, start, weights, store.settings.home)


def look_ahead(
    store: RunStore, dataset: Dataset, recipe: Recipe, forecaster: Forecaster, idle: bool
) -> Outlook:
    """What a recipe would take here; a run that is done opens at once."""
    try:
        split = split_of(recipe, dataset, store)[1]
    except CovidcoreError as error:
        return Outlook(None, f"can not be trained on this dataset: {shared_demo.sentence(error)}")
    existing = store.existing(recipe, dataset, split)
    if existing and existing.state is State.DONE:
        return Outlook(existing, "done before: opens at once")
    found = forecaster.estimate(recipe, dataset)
    if found:
        time, parts = str(found), parts_in_words(found.parts).capitalize()
        if at_hand(recipe.weights, recipe.arch, store.settings) is None:
            time += ", and a download of its weights"
        return Outlook(existing, time, parts)
    if store.settings.runner != "local":
        return Outlook(existing, "not known: another machine does the work")
    if probing(store.settings):
        return Outlook(existing, "measuring…")
    return Outlook(existing, "not measured yet" if idle else "measured once nothing runs")
