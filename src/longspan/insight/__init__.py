"""See inside: reports of what a model does, and how well."""

from longspan.insight.classify_report import classify_html
from longspan.insight.forecast_report import forecast_html, verdict, write_report
from longspan.insight.language_report import language_html
from longspan.insight.reproduce_report import reproduce_html
from longspan.insight.tag_report import tag_html
from longspan.insight.translate_report import translate_html

__all__ = [
    "classify_html", "forecast_html", "language_html", "reproduce_html", "tag_html",
    "translate_html", "verdict", "write_report",
]  # fmt: skip
