"""What all estimators share: scikit-learn's protocol, with options from a config model."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from longspan.errors import InputError, unknown_name


class Estimator(BaseEstimator):
    """Base of the estimators: ``get_params``, ``set_params`` and ``clone`` come from scikit-learn.

    A subclass names its pydantic model in `Config`; its constructor then takes that model's
    fields as keyword arguments, keeps them as given, and checks them together when it is fitted.
    """

    Config: ClassVar[type[BaseModel]]
    #: Attribute that is there once the estimator is fitted.
    _fitted_by: ClassVar[str] = "engine_"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fields = cls.Config.model_fields

        def __init__(self: Estimator, **options: Any) -> None:  # noqa: N807 - becomes the class's
            for name in options:
                if name not in fields:
                    raise InputError(unknown_name("option", name, fields))
            for name, info in fields.items():
                setattr(self, name, options.get(name, info.default))

        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info.default)
            for name, info in fields.items()
        ]
        this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        # scikit-learn reads an estimator's parameters from its constructor's signature.
        __init__.__signature__ = inspect.Signature([this, *parameters])  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[method-assign]
        cls.__doc__ = f"{inspect.getdoc(cls)}\n\n{describe_options(cls.Config)}"

    def _checked_config(self) -> Any:
        return checked(self.Config, self.get_params(deep=False))

    def _check_fitted(self) -> None:
        if not hasattr(self, self._fitted_by):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet; call fit first.")


def describe_options(config: type[BaseModel]) -> str:
    """Return the options of a config model as the ``Args`` section of a docstring."""
    lines = ["Args:"]
    for name, info in config.model_fields.items():
        text = " ".join((info.description or "").split())
        lines.append(f"    {name}: {text} Default: {info.default!r}.")
    return "\n".join(lines)


def checked(config: type[BaseModel], options: dict[str, Any]) -> Any:
    """Return the config model of these options.

    Raises:
        InputError: If an option is unknown or its value cannot be used; the message has one line
            for each, with the value that was given.
    """
    for name in options:
        if name not in config.model_fields:
            raise InputError(unknown_name("option", name, config.model_fields))
    try:
        return config(**options)
    except ValidationError as error:
        raise InputError("\n".join(problems(error))) from None


def problems(error: ValidationError) -> list[str]:
    """Return a line for each thing that pydantic found wrong, with the value that was given."""
    lines = []
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            lines.append(f"{message}.")
            continue
        where = ".".join(str(part) for part in problem["loc"] if not str(part).isdigit())
        lines.append(f"`{where}` = {problem['input']!r} cannot be used: {message}.")
    return lines
