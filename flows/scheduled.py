"""The flows that deployments of earlier versions name here."""

from flows.new_data import watch
from flows.notify import notice
from flows.retrain_config import retrain_config

__all__ = ["notice", "retrain_config", "watch"]
