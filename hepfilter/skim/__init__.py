"""The main job. The package can be called too: `hepfilter.skim(inputs, output, keep="1%")` is that of `api.verbs`."""

import sys
from inspect import Signature, signature
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from hepfilter import public

        return public("skim")(*arguments, **options)

    @property
    def __signature__(self) -> Signature:
        from hepfilter import public

        return signature(public("skim"))


sys.modules[__name__].__class__ = _Callable
