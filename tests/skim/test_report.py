"""The books of a skim."""

from hepfilter.skim.report import CutflowStep, FileCount, OutputCount, SkimReport, add_cutflows


def counted_file(dataset: str | None, *steps: tuple[str, int, float | None]) -> FileCount:
    flow = tuple(CutflowStep(*step) for step in steps)
    return FileCount("in.root", dataset, "nanoaod", "Events", "uuid", 1, "sum", flow[0].events, flow)


A = counted_file("a", ("read", 10, 5.0), ("where", 4, 2.0))
B = counted_file("b", ("read", 7, None), ("lumi mask", 6, None), ("where", 3, 1.5))


def test_cutflows_add_up_step_by_step_by_name():
    assert add_cutflows([A.cutflow, B.cutflow]) == [
        CutflowStep("read", 17, None),  # a sum that lacks an input's weights is none
        CutflowStep("where", 7, 3.5),
        CutflowStep("lumi mask", 6, None),
    ]
    assert add_cutflows([]) == []


def test_the_totals_are_those_of_the_files_and_outputs():
    outputs = (OutputCount("0.root", 5, (4, 1)), OutputCount("1.root", 2, (0, 2)))
    report = SkimReport((A, B, counted_file("a", ("read", 1, 0.5))), outputs)
    assert (report.read, report.passed, report.written) == (18, 8, 7)
    assert (A.read, A.passed) == (10, 4)


def test_a_dataset_has_a_cutflow_of_its_own():
    report = SkimReport(
        (A, B, counted_file("a", ("read", 1, 0.5), ("where", 0, 0.0)), counted_file(None, ("read", 9, 1.0)))
    )
    assert report.datasets == ("a", "b")
    assert report.cutflow("a") == [CutflowStep("read", 11, 5.5), CutflowStep("where", 4, 2.0)]
    assert report.cutflow()[0] == CutflowStep("read", 27, None)
