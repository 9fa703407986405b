"""Parses the section `storage`."""

from __future__ import annotations

import os

from studies.config.parsing.limits import MOST_SECONDS
from studies.config.parsing.section import ConfigSection
from studies.config.parsing.soundness import is_writable
from studies.config.settings import StorageSettings

USUAL = "STUDIES_STORAGE_URL"  # in the configs of servers; a URL may replace it
SERVERS = ("postgres", "mysql", "mariadb")
UNKNOWN = "unknown"  # in place of a missing address, which is reported


def parse_storage(section: ConfigSection) -> StorageSettings:
    """Return the storage of the config section `storage`."""
    section.only(("url", "url_env", "lease_s", "patience_s"))
    url = section.text("url") if section.has("url") else None
    variable = section.text("url_env") if section.has("url_env") else None
    if url is not None and variable is not None and not (variable == USUAL and url.startswith(SERVERS)):
        remedy = "give storage.url=null to follow the variable, or storage.url_env=null to follow the URL"
        section.complain("url_env", f"is {variable} but storage.url is given too", remedy)
    if url is None and variable is None:
        section.complain("url", "is None", "give a non-empty text, such as sqlite:///outputs/studies.db")
        url = UNKNOWN
    if url is None and not os.environ.get(str(variable)):
        remedy = f"export {variable}=…, or give storage.url"
        section.complain("url_env", f"is {variable}, an environment variable that is not set", remedy)
        url = UNKNOWN
    if variable is not None and not is_writable(os.environ.get(variable, "")):
        section.complain("url_env", f"is {variable}, which holds no text", "export a URL in UTF-8")
        url = UNKNOWN
    return StorageSettings(
        url=url,
        url_env=variable,
        lease_s=section.number("lease_s", low=1, high=MOST_SECONDS, default=60),
        patience_s=section.number("patience_s", low=0, high=MOST_SECONDS, default=600),
    )
