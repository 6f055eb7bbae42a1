"""Addresses of flows, their versions, and the paths that both make.

Every part is URL-encoded, so that no name can leave its place in a path.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from dragoman.noukai.types import Address, Attempt, VersionSpec


def segment(name: str) -> str:
    """A name as one path segment, whatever is in it."""
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def address(slug: str | None, org: str | None, project: str | None, *, defaults: tuple[str, str] | None) -> Address:
    """The flow that `client.flow(...)` means.

    `"org/project/slug"` wins over the client's defaults, a bare slug needs them, and keywords must
    be complete. Raises ValueError for anything else.
    """
    if org is not None or project is not None:
        if slug is not None and "/" in slug:
            raise ValueError(f"pass either {slug!r} or org=, project= and slug=, not both")
        if not (org and project and slug):
            raise ValueError("the keyword form needs all of org=, project= and slug=")
        return Address(org, project, slug)
    if not slug:
        raise ValueError("flow() needs a slug, 'org/project/slug', or org=, project= and slug=")
    parts = slug.split("/")
    if len(parts) == 3 and all(parts):
        return Address(*parts)
    if len(parts) != 1:
        raise ValueError(f"expected 'slug' or 'org/project/slug', got {slug!r}")
    if defaults is None:
        raise ValueError(f"flow({slug!r}) needs a client constructed with org and project, or 'org/project/{slug}'")
    return Address(*defaults, slug)


def version_segment(version: VersionSpec | None) -> str:
    """`""` for the base path (nothing given, or `"production"`), else `/vN`; the draft is `/v0`.

    Raises ValueError for anything but these words and integers from 0 on.
    """
    if version is None or version == "production":
        return ""
    if version == "draft":
        return "/v0"
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise ValueError(f"Invalid version {version!r}: expected 'draft', 'production' or an integer from 0 on")
    return f"/v{version}"


def version_name(version: VersionSpec | None) -> str:
    """How a version is shown; the base path is production's."""
    return "production" if version is None else str(version)


def flow_path(flow: Address, version: VersionSpec | None = None) -> str:
    """`/seq/org/project/slug`, with the version if one is named."""
    return "/seq/" + "/".join(segment(part) for part in (flow.org, flow.project, flow.slug)) + version_segment(version)


def job_path(flow: Address, execution_id: str, action: str = "") -> str:
    return f"{flow_path(flow)}/jobs/{segment(execution_id)}" + (f"/{action}" if action else "")


def run_path(flow: Address, execution_id: str) -> str:
    return f"{flow_path(flow)}/runs/{segment(execution_id)}/trace"


def step_path(flow: Address, execution_id: str, step_id: str, attempt: Attempt, loop_index: int | None) -> str:
    """The trace of one step; `attempt` is sent unless it is the default."""
    query: dict[str, str] = {}
    if attempt != "latest":
        query["attempt"] = str(attempt)
    if loop_index is not None:
        query["loop_index"] = str(loop_index)
    path = f"{flow_path(flow)}/runs/{segment(execution_id)}/steps/{segment(step_id)}/trace"
    return path + (f"?{urlencode(query)}" if query else "")


def session_path(session_id: str) -> str:
    return f"/seq/sessions/{segment(session_id)}"
