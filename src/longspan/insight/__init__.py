"""See inside: reports of what a model does, and how well."""

from longspan.insight.forecast_report import forecast_html, verdict, write_report

__all__ = ["forecast_html", "verdict", "write_report"]
