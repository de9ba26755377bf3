"""One module per AWS service; each names its class as SERVICE."""
import importlib
import pkgutil


def load(world):
    """{botocore's name: Service}, all that are in this folder."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        cls = importlib.import_module(f"{__name__}.{module.name}").SERVICE
        found[cls.id] = cls(world)
    return found
