"""The pages under docs/results/studies are what their results.json says."""

import json
import shutil
from pathlib import Path

import pytest

from litebert.cli.main import main
from litebert.study.results import read_results

FOLDER = Path(__file__).parents[2] / "docs/results/studies"
STUDIES = sorted(place.parent for place in FOLDER.glob("*/results.json"))


@pytest.mark.parametrize("place", STUDIES, ids=lambda place: place.name)
def test_report_and_verdicts_follow_from_the_runs(place, tmp_path, capsys):
    again = tmp_path / place.name
    again.mkdir()
    shutil.copy(place / "results.json", again)
    assert main(["study", "report", str(again)]) == 0
    assert (again / "report.md").read_text() == (place / "report.md").read_text()
    said = [
        claim["verdict"] for claim in json.loads((place / "results.json").read_text())["claims"]
    ]
    assert said == [judgement.verdict for judgement in read_results(place).judgements]
    for picture in (place / "pictures").glob("*.svg"):
        assert (again / "pictures" / picture.name).is_file()


def test_the_page_of_all_studies(tmp_path, capsys):
    shutil.copytree(FOLDER, tmp_path / "studies")
    assert main(["study", "overview", str(tmp_path / "studies")]) == 0
    page = (FOLDER / "overview.md").read_text()
    assert (tmp_path / "studies/overview.md").read_text() == page
    assert len(STUDIES) >= 1
    for place in STUDIES:
        assert f"({place.name}/report.md)" in page


def test_no_path_of_a_machine_is_told():
    for place in STUDIES:
        assert '"/' not in (place / "results.json").read_text()
