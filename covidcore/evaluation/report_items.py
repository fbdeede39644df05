"""The reporting items of CLAIM 2024 and TRIPOD+AI: numbers, titles in our words, what answers them.

An item names the facts (`report_facts`) that answer all or some of it, and what no stored fact can
say, which a person has to write. The wording of the checklists is theirs and is not repeated here.

Sources: Tejani, Klontzas, Gatti et al. 2024, Radiol Artif Intell 6:e240300 (44 items); Collins,
Moons, Dhiman et al. 2024, BMJ 385:e078378 (27 items, with parts).
"""

from typing import NamedTuple


class Item(NamedTuple):
    """One item of a checklist."""

    number: str
    title: str
    facts: tuple[str, ...] = ()
    """Names of facts, in the order in which they are said."""
    yours: str = ""
    """What a person has to write, since nothing that is stored says it."""


CLAIM = (
    Item("1", "Named as a study of AI, with the technique", ("model",)),
    Item("2", "Structured abstract", (), "the abstract"),
    Item("3", "Background and clinical role", (), "the background, and the role of the model"),
    Item("4", "Aims and hypotheses", (), "the aims and hypotheses"),
    Item("5", "Prospective or retrospective", (), "whether the images were collected for this"),
    Item("6", "Goal of the study", ("goal",)),
    Item("7", "Sources of the data", ("dataset", "sources"), "where the data can be had"),
    Item("8", "What was included and excluded", ("left_out",), "how patients were chosen"),
    Item("9", "Preprocessing", ("preprocessing",)),
    Item("10", "Choice of subsets of the data", ("subset",)),
    Item("11", "De-identification", (), "how the images were de-identified"),
    Item("12", "Missing data", ("unknown",)),
    Item("13", "Acquisition of the images", ("views",), "devices and acquisition protocol"),
    Item("14", "How the reference standard was obtained", (), "how the labels were made"),
    Item("15", "Why this reference standard", (), "why these labels are taken for the truth"),
    Item("16", "Who annotated", (), "who labelled, with what qualification"),
    Item("17", "How the test set was annotated", (), "how the test images were labelled"),
    Item("18", "Agreement of annotators", (), "how far those who labelled agree"),
    Item("19", "How data were assigned to sets", ("split", "set_counts")),
    Item("20", "At which level the sets are disjoint", ("grouping", "leaks")),
    Item("21", "Intended size of the test set", ("test_size",), "a calculation of the size needed"),
    Item("22", "The model", ("model", "preprocessing")),
    Item("23", "Software", ("software",)),
    Item("24", "Initial weights", ("weights",)),
    Item("25", "Training", ("training", "imbalance")),
    Item("26", "Choice of the final model", ("selection",)),
    Item("27", "Ensembles", ("ensemble",)),
    Item("28", "Measures of performance", ("metrics",)),
    Item("29", "Uncertainty and significance", ("intervals",)),
    Item("30", "Robustness", ("stress", "folds")),
    Item("31", "Explainability", ("attention",)),
    Item("32", "Testing on internal data", ("accuracy",)),
    Item("33", "Testing on external data", ("outside",)),
    Item("34", "Registration of a trial", (), "the registration, if it is a trial"),
    Item("35", "Numbers included and excluded", ("dataset", "left_out", "set_counts")),
    Item(
        "36",
        "Characteristics of the cases in each set",
        ("set_counts", "people"),
        "clinical characteristics",
    ),
    Item("37", "Performance with its uncertainty", ("accuracy", "averages", "subgroups")),
    Item("38", "Diagnostic performance with its precision", ("per_class", "aucs", "operating")),
    Item("39", "Failures", ("failures",), "what the wrong answers have in common"),
    Item("40", "Limitations", ("warnings", "baselines", "opened"), "what else limits the study"),
    Item("41", "Meaning for practice", (), "what follows for practice; this is no medical device"),
    Item("42", "Full protocol", (), "where the protocol can be read"),
    Item("43", "Availability of software, model and data", ("software", "checkpoint"),
         "where model and data can be had, and on what terms"),
    Item("44", "Funding", (), "who paid, and what part they had"),
)  # fmt: skip

TRIPOD = (
    Item("1", "Title names model, people and outcome", ("goal",), "the population"),
    Item("2", "Abstract", (), "the abstract"),
    Item("3a", "Health context", (), "the context and the reasons for the model"),
    Item("3b", "Target population and use", (), "for whom, by whom and when it would be used"),
    Item("3c", "Known health inequalities", (), "what is known of inequalities"),
    Item("4", "Objectives", ("goal",), "the objectives"),
    Item("5a", "Sources of the data", ("dataset", "sources"), "how well they stand for the target"),
    Item("5b", "Dates of the data", (), "when the images were taken"),
    Item("6a", "Setting and places", ("sources",), "the kind of care they come from"),
    Item("6b", "Eligibility", ("left_out",), "how patients were chosen"),
    Item("6c", "Treatments", (), "treatments, if they matter"),
    Item("7", "Preparation and quality of the data", ("preprocessing", "left_out", "warnings")),
    Item("8a", "The outcome", ("classes",), "how and when it was assessed"),
    Item("8b", "Who assessed the outcome", (), "who labelled, with what qualification"),
    Item("8c", "Blinding of that assessment", (), "what was known when the labels were made"),
    Item("9a", "Choice of predictors", ("predictors",)),
    Item("9b", "The predictors", ("predictors", "preprocessing"), "how the images were taken"),
    Item("9c", "Who assessed predictors", (), "whether somebody had to judge a predictor"),
    Item("10", "Size of the study", ("test_size", "set_counts"), "why this size suffices"),
    Item("11", "Missing data", ("unknown",)),
    Item("12a", "How the data were used", ("split", "grouping", "set_counts")),
    Item("12b", "How predictors were handled", ("preprocessing",)),
    Item("12c", "Model, building, internal validation",
         ("model", "weights", "training", "selection", "folds")),
    Item("12d", "Differences between clusters", ("leave_one_source_out",)),
    Item("12e", "Measures of performance", ("metrics", "intervals", "calibration")),
    Item("12f", "Updating of the model", (), "whether the model was updated after testing"),
    Item("12g", "How predictions were calculated", ("answering",)),
    Item("13", "Imbalance of the classes", ("imbalance",)),
    Item("14", "Approaches to fairness", ("fairness",), "what was done for fairness"),
    Item("15", "What the model gives out", ("answering", "operating")),
    Item("16", "Differences between training and evaluation data", ("outside",)),
    Item("17", "Ethical approval", (), "approval and consent, or why there is none"),
    Item("18a", "Funding", (), "who paid, and what part they had"),
    Item("18b", "Conflicts of interest", (), "conflicts of interest"),
    Item("18c", "Protocol", (), "where the protocol is, or that there is none"),
    Item("18d", "Registration", (), "where the study is registered, or that it is not"),
    Item("18e", "Sharing of data", (), "where the data can be had"),
    Item("18f", "Sharing of code", ("software",), "where the code can be had"),
    Item("19", "Patients and the public", (), "what part they had, or that they had none"),
    Item("20a", "Flow of participants", ("dataset", "left_out", "set_counts")),
    Item("20b", "Characteristics of participants", ("people", "sources"),
         "clinical characteristics"),
    Item("20c", "Predictors in training and evaluation data", (), "how the images differ"),
    Item("21", "Numbers in each analysis", ("set_counts", "test_size")),
    Item("22", "The full model", ("model", "checkpoint")),
    Item("23a", "Performance with intervals", ("accuracy", "per_class", "aucs", "calibration",
         "subgroups")),
    Item("23b", "Performance by cluster", ("leave_one_source_out", "by_source")),
    Item("24", "Results of updating", (), "the updated model, if there is one"),
    Item("25", "Interpretation", (), "what the results mean, also for fairness"),
    Item("26", "Limitations", ("warnings", "baselines", "opened"), "what else limits the study"),
    Item("27a", "Poor or missing input", (), "what is done about such images in use"),
    Item("27b", "What users have to do and know", (), "what users have to do and know"),
    Item("27c", "Next steps", (), "what has to be studied next"),
)  # fmt: skip

CHECKLISTS = {"CLAIM 2024": CLAIM, "TRIPOD+AI": TRIPOD}
