"""The notebook in docs/ runs as it is, against a daemon that hears the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon import ROOT, Daemon, environment
from tests.posting import Client

NOTEBOOK = ROOT / "docs" / "client.ipynb"
CELL_SECONDS = 180  # the machine may be busy


def test_the_notebook_runs_and_is_kept_without_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    kernel = pytest.importorskip("ipykernel.kernelspec", reason="ipykernel is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)

    kernel.install(prefix=str(tmp_path))
    with Daemon("--demo", extra={"XDG_STATE_HOME": str(tmp_path)}) as daemon:
        Client(daemon.address).ready()
        for name, value in (environment() | {"EARMARK_URL": daemon.address}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
        monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        monkeypatch.setenv("PYTHONWARNINGS", "default")
        nbclient.NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3").execute(cwd=str(tmp_path))
    shown = ["".join(str(output) for output in cell.outputs) for cell in code]
    assert "ready=True" in shown[0]
    assert shown[1].count("<tr>") == 6
    assert shown[2].count("<tr>") > 1
    assert "image/png" in shown[3]
    assert shown[4].count("Score(") == 3
    assert "[classifier.decide]" in shown[5]
    assert shown[5].count("classifier[emotion].decide.on") == 1
