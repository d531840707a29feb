"""Files of forecasts and the truth, ours and anyone's, under our names."""
