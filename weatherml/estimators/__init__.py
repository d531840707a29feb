"""Models with the interface of scikit-learn, for arrays instead of datasets."""

from weatherml.estimators.flood import ConvLSTMFloodModel as ConvLSTMFloodModel
