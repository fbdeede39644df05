"""What each figure of this program is: a few sentences for a student, and where it comes from.

Pages show these beside the figures; ``docs/glossary.md`` holds them all. Plain text, no markup.
"""

from typing import NamedTuple


class Term(NamedTuple):
    """One figure, test or word that pages show."""

    title: str
    text: str
    source: str


TERMS = {
    "accuracy": Term(
        "Accuracy",
        "Of all images, how many are answered right. Where one class is common, a rule that always "
        "answers that class has a high accuracy too: compare it with the largest class's share.",
        "Sokolova & Lapalme 2009, Information Processing & Management 45:427",
    ),
    "balanced_accuracy": Term(
        "Balanced accuracy",
        "The mean of the recalls of all classes, so that a rare class counts as much as a common "
        "one. Guessing scores one divided by the number of classes.",
        "Brodersen et al. 2010, ICPR, 3121",
    ),
    "f1": Term(
        "F1",
        "The harmonic mean of precision and recall: high only where both are. Macro F1 is its mean "
        "over the classes.",
        "Sokolova & Lapalme 2009, Information Processing & Management 45:427",
    ),
    "interval": Term(
        "95 % interval",
        "Another test set of this size would give another figure. Of intervals made like this, 95 "
        "in 100 hold the true value. Those of shares are Wilson's: unlike the usual plus or minus, "
        "they stay between 0 and 100 % and hold for few images, and where nobody was wrong.",
        "Wilson 1927, JASA 22:209; Brown, Cai & DasGupta 2001, Statistical Science 16:101",
    ),
    "matrix": Term(
        "Confusion matrix",
        "Rows are what images are, columns what the model answers. Right answers lie on the "
        "diagonal. Off it, the row says who was missed, the column who was alarmed for nothing.",
        "Fawcett 2006, Pattern Recognition Letters 27:861",
    ),
    "recall": Term(
        "Recall (sensitivity) and specificity",
        "Recall: of the images of a class, how many are found. Specificity: of all other images, "
        "how many are not called so. Neither depends on how common the class is.",
        "Altman & Bland 1994, BMJ 308:1552",
    ),
    "precision": Term(
        "Precision",
        "Of the answers that name a class, how many are right. It depends on how common the class "
        "is among the images: where it is rarer, precision falls.",
        "Altman & Bland 1994, BMJ 309:102",
    ),
    "auc": Term(
        "AUC",
        "The area under the ROC curve: how often an image of the class gets a higher probability "
        "than one of the others. 50 % is guessing, 100 % is every pair in order. It says nothing "
        "of where to draw the line, nor whether probabilities mean what they say.",
        "Hanley & McNeil 1982, Radiology 143:29",
    ),
    "roc": Term(
        "ROC curve",
        "Each point is a threshold: how many of the class are found, against how many others are "
        "called so. The dashed diagonal is guessing; the nearer to the upper left, the better.",
        "Fawcett 2006, Pattern Recognition Letters 27:861",
    ),
    "precision_recall": Term(
        "Precision and recall, average precision",
        "Each point is a threshold: how many of the class are found, against how many of the "
        "positive answers are right. For rare classes it shows what a ROC curve hides. Average "
        "precision is the area below; guessing scores the share of the class.",
        "Davis & Goadrich 2006, ICML; Saito & Rehmsmeier 2015, PLoS ONE 10:e0118432",
    ),
    "loss": Term(
        "Loss (cross-entropy)",
        "The mean of minus the logarithm of the probability that was given to the truth, in nats: "
        "0 is certain and right, 0.69 is one half given to the truth. To be sure and wrong costs "
        "most.",
        "Goodfellow, Bengio & Courville 2016, Deep Learning, section 3.13",
    ),
    "ece": Term(
        "ECE (expected calibration error)",
        "Answers are sorted by their probability into 15 bins. In each bin the mean probability is "
        "compared with the share that is right; ECE is the mean of the gaps, weighted by images. "
        "At 0, of the answers given with 90 %, nine in ten are right.",
        "Naeini, Cooper & Hauskrecht 2015, AAAI; Guo et al. 2017, ICML",
    ),
    "temperature": Term(
        "Temperature",
        "Networks tend to be too sure. Before probabilities are made, the network's scores are "
        "divided by one number, chosen on the validation images: above 1 it makes answers less "
        "sure, below 1 surer. No answer changes.",
        "Guo et al. 2017, ICML, On Calibration of Modern Neural Networks",
    ),
    "reliability": Term(
        "Reliability diagram",
        "Across: how sure the answers are. Up: how many of them are right. On the dashed line, "
        "probabilities mean what they say; below it the model is too sure of itself.",
        "DeGroot & Fienberg 1983, The Statistician 32:12; Niculescu-Mizil & Caruana 2005, ICML",
    ),
    "predictive": Term(
        "PPV and NPV",
        "What an answer is worth to the person who gets it. PPV: of the positive answers, how many "
        "are right; NPV: of the negative ones. Both depend on the prevalence: with the same model, "
        "where the disease is rare most alarms are false.",
        "Altman & Bland 1994, BMJ 309:102; intervals: Mercaldo, Lau & Zhou 2007, Stat Med 26:2170",
    ),
    "prevalence": Term(
        "Prevalence",
        "How many of the people who are asked about have the disease. A test set holds as many "
        "cases as somebody collected; a clinic does not.",
        "Altman & Bland 1994, BMJ 309:102",
    ),
    "threshold": Term(
        "Threshold and cost",
        "From which probability a class is answered. A lower one finds more cases and alarms more "
        "people for nothing; which is worse is not for statistics to say, so the cost of a missed "
        "case is asked. The cheapest is chosen on validation images: on test images it would be "
        "chosen to look good.",
        "Elkan 2001, IJCAI, The Foundations of Cost-Sensitive Learning",
    ),
    "source_alone": Term(
        "Source alone",
        "What a rule would score that sees no image and only knows where it comes from. Where it "
        "is high, hospital and disease go together, and a model may have learnt the hospital.",
        "Zech et al. 2018, PLoS Medicine 15:e1002683; Roberts et al. 2021, Nat Mach Intell 3:199",
    ),
    "border": Term(
        "File facts alone, border alone",
        "Small classifiers that can not see a lung: one sees only size, bytes and mode of the "
        "file, one only the outer 5 % of the picture. What they get right, a network can get right "
        "for the same wrong reason.",
        "DeGrave, Janizek & Lee 2021, Nat Mach Intell 3:610; Maguolo & Nanni 2021, "
        "Information Fusion 76:1",
    ),
    "cramers_v": Term(
        "Cramér's V",
        "How closely source and class go together: 0 not at all, 1 whoever knows the source knows "
        "the class. Corrected, as small tables give more than 0 by chance.",
        "Bergsma 2013, Journal of the Korean Statistical Society 42:323",
    ),
    "leaks": Term(
        "Leaks",
        "A test image of which training holds a copy, or another film of the same patient, can be "
        "answered from memory. It flatters, and says nothing of new patients.",
        "Kapoor & Narayanan 2023, Patterns 4:100804; Barz & Denzler 2020, Journal of Imaging 6:41",
    ),
    "means": Term(
        "Mean images",
        "Every pixel averaged over a class. What differs within the lungs may be disease; what "
        "differs at borders or corners is how the images were made. Standard deviations make a "
        "small mark visible that only some images carry.",
        "DeGrave, Janizek & Lee 2021, Nat Mach Intell 3:610",
    ),
    "subgroups": Term(
        "Subgroups",
        "One accuracy can hide that a model fails for some people, or one hospital. Small groups "
        "have wide intervals; of many groups one will look bad by chance.",
        "Oakden-Rayner et al. 2020, ACM CHIL, Hidden Stratification",
    ),
    "mcnemar": Term(
        "McNemar's test",
        "Two runs answer about the same images, so only those that one alone gets right can tell "
        "them apart. If both were equally good, these would divide like tosses of a coin: p is how "
        "often a coin would be at least this uneven.",
        "McNemar 1947, Psychometrika 12:153; Dietterich 1998, Neural Computation 10:1895",
    ),
    "ties": Term(
        "Not distinguishable",
        "The difference is within what chance would give on these images. It does not say that two "
        "runs are equally good; more test images might tell.",
        "Dietterich 1998, Neural Computation 10:1895",
    ),
    "outside": Term(
        "On another dataset",
        "A model is often worse on images from elsewhere, for it has learnt what its own hospitals "
        "have in common. How much worse can only be seen elsewhere.",
        "Zech et al. 2018, PLoS Medicine 15:e1002683",
    ),
    "folds": Term(
        "Cross-validation",
        "Images are dealt into folds; each fold is answered by a model that has not seen it. It "
        "shows how much a figure owes to one lucky split. The folds share training images, so the "
        "interval of their mean is wider than that of independent figures.",
        "Nadeau & Bengio 2003, Machine Learning 52:239",
    ),
    "lungs_out": Term(
        "Lungs out, lungs only",
        "The lungs are blacked. A model that goes by the lungs must now guess; if it is still "
        "right more often than chance, there is a way to the answer around them. Lungs only asks "
        "the reverse.",
        "Maguolo & Nanni 2021, Information Fusion 76:1",
    ),
    "source_out": Term(
        "Leave one source out",
        "A head is trained without one hospital and asked about it. Where it falls, the rest of "
        "the data did not teach what that hospital's images show.",
        "Zech et al. 2018, PLoS Medicine 15:e1002683",
    ),
    "corruptions": Term(
        "Corruptions",
        "Test images made darker, noisier, turned, cut or marked, step by step. A model that is to "
        "be used must bear what happens to films on their way.",
        "Hendrycks & Dietterich 2019, ICLR",
    ),
    "heatmap": Term(
        "Grad-CAM",
        "Where in the image lies what speaks for an answer, as coarse as the network's last layer. "
        "It shows where, not why, and points well beside what radiologists point at.",
        "Selvaraju et al. 2017, ICCV; Saporta et al. 2022, Nat Mach Intell 4:867",
    ),
    "epochs": Term(
        "Learning curves",
        "An epoch is one pass over the training images. While validation loss falls with training "
        "loss, it learns what holds for others; where validation rises again, it learns by heart. "
        "The epoch of least validation loss is kept.",
        "Goodfellow, Bengio & Courville 2016, Deep Learning, section 7.8",
    ),
    "shortcut": Term(
        "Shortcut",
        "A sign that goes with the class in the data, and not in the world: a marker, a border, a "
        "hospital. A network takes it where it is easier to see than the disease, and is right for "
        "the wrong reason; test images of the same data can not tell.",
        "Geirhos et al. 2020, Nat Mach Intell 2:665; DeGrave, Janizek & Lee 2021, ibid. 3:610",
    ),
    "novelty": Term(
        "The gate",
        "An upload is refused whose features lie farther from all classes than nearly all "
        "validation images: the network would have an answer, and it would mean nothing.",
        "Lee et al. 2018, NeurIPS, A Simple Unified Framework (Mahalanobis distance)",
    ),
}
"""By the key that pages use."""


def as_markdown() -> str:
    """All of them as ``docs/glossary.md``, by title."""
    parts = [
        f"**{term.title}.** {term.text} *({term.source})*"
        for term in sorted(TERMS.values(), key=lambda term: term.title.casefold())
    ]
    head = (
        "# What the figures are\n\n"
        "The notes that pages show under “What is this?”. Made by "
        "`python -m covidcore.glossary > docs/glossary.md`.\n\n"
    )
    return head + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(as_markdown())
