-- Run once, when the volume is empty: one database for each server, beside `tunekeeper` (ledger and traffic).
CREATE DATABASE mlflow;
CREATE DATABASE prefect;
