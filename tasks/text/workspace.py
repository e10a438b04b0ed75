"""What models stored by version 0.1.0 import by this name; it lives in tasks/common/workspace.py now."""

from tasks.common.workspace import workspace

__all__ = ["workspace"]
