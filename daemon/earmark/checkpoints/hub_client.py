"""The Hugging Face Hub, for `earmark pull`: the one place in Earmark that fetches anything.

HF_ENDPOINT names another Hub, HF_HOME another cache, HF_TOKEN opens private and gated models: all of them read by
huggingface_hub when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from earmark.errors import ModelError


@dataclass(frozen=True, slots=True)
class Listing:
    """A model at one commit. `files` has the SHA-256 of each large file, and "" for the others."""

    model: str
    revision: str
    files: dict[str, str]


def find(model: str, revision: str | None) -> Listing:
    """Return the files of `model` at a branch, tag or commit, or at the main branch if None. Raises ModelError."""
    with _explained(model, revision):
        found = HfApi().model_info(model, revision=revision, files_metadata=True, timeout=20)
        files = {file.rfilename: file.lfs.sha256 if file.lfs else "" for file in found.siblings or ()}
        return Listing(model, str(found.sha), files)


def fetch(listing: Listing, file: str, *, bar: bool = False) -> Path:
    """Return the file in huggingface_hub's cache, after fetching it if it is not there. Raises ModelError.

    `bar` shows the progress on a terminal.
    """
    (enable_progress_bars if bar and sys.stderr.isatty() else disable_progress_bars)()
    with _explained(listing.model, listing.revision):
        return Path(hf_hub_download(listing.model, file, revision=listing.revision))


@contextmanager
def _explained(model: str, revision: str | None) -> Iterator[None]:
    """Turn errors of huggingface_hub into sentences."""
    hub = constants.ENDPOINT
    try:
        yield
    except GatedRepoError:
        raise ModelError(
            f"{model}: its owner asks you to accept conditions; do so at {hub}/{model}, then set HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise ModelError(f"{model}: {hub} has no such model, or it is private; set HF_TOKEN if it is yours") from None
    except RevisionNotFoundError:
        raise ModelError(f"{model}: there is no revision {revision!r}") from None
    except HFValidationError as error:
        raise ModelError(f"{model}: not a model id ({error})") from None
    except OfflineModeIsEnabled:
        raise ModelError(f"{model}: HF_HUB_OFFLINE forbids huggingface_hub to fetch; unset it to pull") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        raise ModelError(f"{model}: {hub} answers with status {status}; try again later") from error
    except EntryNotFoundError as error:  # also raised if the connection breaks between two files
        raise ModelError(f"{model}: {hub} did not give a file: {_first_line(error)}") from error
    except Exception as error:
        # its HTTP library changed with its versions (requests, httpx), so errors of the network are not told apart here
        raise ModelError(f"{model}: cannot be fetched from {hub}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
