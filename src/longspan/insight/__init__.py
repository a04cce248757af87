"""See inside: reports of what a model does, and how well."""

from longspan.insight.forecast_report import forecast_html, verdict, write_report
from longspan.insight.language_report import language_html
from longspan.insight.translate_report import translate_html

__all__ = ["forecast_html", "language_html", "translate_html", "verdict", "write_report"]
