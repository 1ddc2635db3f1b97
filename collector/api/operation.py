"""How the service is doing, for programs that watch it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client.exposition import choose_encoder

from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.metrics import Metrics


def metrics_router(metrics: Metrics) -> APIRouter:
    """``/metrics``: the Prometheus text format, or OpenMetrics where that is asked for."""
    router = APIRouter()

    @router.get("/metrics", tags=["service"])
    @needs(Permission.METRICS)
    def scrape(request: Request) -> Response:
        """Every metric; each is described in docs/central-team.md."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": content_type})

    return router
