"""The HTTP application over given ports. It connects to nothing by itself."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from backend import collections, content, contributors, datasets, network, offers, page, salts
from backend.coordination import endpoints as coordination
from backend.http import problems
from backend.http.problems import BodyLimit
from backend.orders import endpoints as orders
from backend.orders import standing
from backend.ports import Ports
from backend.tasks import endpoints as tasks

ROUTERS = (
    *(network.router, collections.router, contributors.router, orders.router, datasets.router, offers.router),
    *(standing.router, salts.router, content.router, tasks.router, coordination.router, page.router),
)


def create_app(ports: Ports) -> FastAPI:
    """Builds the application; the same ports may serve tests (memory twins) and a process (real adapters)."""
    app = FastAPI(
        title="Tessera",
        summary="Synthetic data whose every row can be recomputed.",
        version=version("tessera-market"),
        docs_url=None,
        redoc_url=None,
    )
    app.state.ports = ports
    settings = ports.settings
    app.add_middleware(
        BodyLimit, json_bytes=settings.max_json_bytes, content_bytes=settings.max_content_bytes
    )
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
