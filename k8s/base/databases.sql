-- users and their rights apart from the runs: either may be restored alone
CREATE DATABASE mlflow_auth OWNER mlflow;
