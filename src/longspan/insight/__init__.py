"""See inside: what a model remembers, where gradients go, what gates do; and reports.

Of any module with recurrent layers of `longspan.nn`: `watching` records every step's states and
gates, `gradient_flow` says where gradients die or explode, `jacobian_influence` and
`memory_horizon` how far back an output depends on its inputs, `cutting` and `context_ablation` what
memory is worth, `gate_statistics` and `unit_statistics` what gates do, `integrated_gradients` which
inputs mattered, and `advice` what to do about it. Results are frozen dataclasses with
``to_dict()``. Reports (``*_html``) are one page a task.
"""

from longspan.insight.ablation import Ablation, context_ablation, cutting
from longspan.insight.advice import Advice, advice
from longspan.insight.attribution import Attribution, integrated_gradients
from longspan.insight.autocorrelation import autocorrelation_lag, partial_autocorrelation
from longspan.insight.classify_report import classify_html
from longspan.insight.flow import GradientFlow, LayerFlow, ParameterFlow, gradient_flow
from longspan.insight.forecast_report import forecast_html, verdict, write_report
from longspan.insight.gates import (
    GateStatistics,
    UnitStatistics,
    gate_statistics,
    unit_statistics,
)
from longspan.insight.horizon import Horizon, jacobian_influence, memory_horizon
from longspan.insight.language_report import language_html
from longspan.insight.reproduce_report import reproduce_html
from longspan.insight.tag_report import tag_html
from longspan.insight.translate_report import translate_html
from longspan.insight.watch import Seen, Watched, watching

__all__ = [
    "Ablation", "Advice", "Attribution", "GateStatistics", "GradientFlow", "Horizon", "LayerFlow",
    "ParameterFlow", "Seen", "UnitStatistics", "Watched", "advice", "autocorrelation_lag",
    "classify_html", "context_ablation", "cutting", "forecast_html", "gate_statistics",
    "gradient_flow", "integrated_gradients", "jacobian_influence", "language_html",
    "memory_horizon", "partial_autocorrelation", "reproduce_html", "tag_html", "translate_html",
    "unit_statistics", "verdict", "watching", "write_report",
]  # fmt: skip
