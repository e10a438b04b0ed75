"""What models stored by version 0.1.0 import by this name; it lives in tasks/serving/packaged_model.py now."""

from tasks.serving.packaged_model import PackagedModel, adopt_base, load_package, local_base, read_preparation

__all__ = ["PackagedModel", "adopt_base", "load_package", "local_base", "read_preparation"]
