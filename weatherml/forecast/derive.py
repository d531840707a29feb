"""Products written beside the members: few leads of one variable in memory at a time, one where they are large."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as pairs
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weatherml.data.layout import variable_attributes
from weatherml.data.store import Dataset
from weatherml.forecast.products import PRODUCTS, Product
from weatherml.forecast.rows import Rows
from weatherml.forecast.store import ForecastWriter, Layer
from weatherml.grid import Grid
from weatherml.progress import Progress
from weatherml.signals import stop_request
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Products = dict[str, dict[str, Product]]
"""By variable, by the array's name."""
READ_VALUES = 1 << 24
"""Values of all members that are read together; of large grids one lead is more."""


def dataset_products(names: Sequence[str], dataset: Dataset) -> Products:
    """The products of these names for each variable of a dataset."""
    return {
        variable.name: {
            f"{variable.name}_{product.suffix}": product
            for name in names
            for product in PRODUCTS[name](variable, dataset.grid.spacing_km)
        }
        for variable in dataset.variables
    }


def product_layers(products: Products, dataset: Dataset) -> list[Layer]:
    """Their arrays."""
    variables = {variable.name: variable for variable in dataset.variables}
    return [
        Layer(name=name, attributes=product_attributes(product, variables[variable], dataset.grid), per_member=False)
        for variable, made in products.items()
        for name, product in made.items()
    ]


def product_attributes(product: Product, variable: Variable, grid: Grid) -> dict[str, str]:
    """CF attributes; the variable's standard name stays only where `cell_methods` says what became of it."""
    attributes = variable_attributes(variable, grid) | {"long_name": product.long_name, "units": product.units}
    if product.cell_methods:
        return attributes | {"cell_methods": product.cell_methods}
    return {key: value for key, value in attributes.items() if key != "standard_name"}


def write_products(writer: ForecastWriter, products: Products, rows: Rows, *, progress: Progress) -> None:
    """Write the products that the writer does not have yet.

    Raises:
        StoppedError: a signal came; what is written is kept.
    """
    blocks = pieces(range(rows.steps), writer.shard)
    tasks = list(pairs(range(len(rows.times)), blocks, [name for name, made in products.items() if made]))
    with stop_request() as stop:
        for number in range(writer.derived, len(tasks)):
            case, leads, variable = tasks[number]
            write_block(writer, variable, products[variable], case=case, leads=leads, device=rows.roller.device)
            writer.complete_derived()
            progress(number + 1, len(tasks))
            stop.raise_if_set(f"{writer.output}: stopped after {number + 1} of {len(tasks)} blocks of products")


def write_block(
    writer: ForecastWriter,
    variable: str,
    products: dict[str, Product],
    *,
    case: int,
    leads: range,
    device: torch.device,
) -> None:
    """Write a shard of each product of one variable."""
    made: dict[str, list[Array]] = {name: [] for name in products}
    for few in pieces(leads, max(1, READ_VALUES // writer.lead_size(variable))):
        members = torch.from_numpy(writer.read(variable, case, few)).to(device)
        for name, product in products.items():
            made[name].append(product.compute(members).cpu().numpy())
    for name, fields in made.items():
        writer.write_derived(name, case, leads.start, np.concatenate(fields))


def pieces(whole: range, length: int) -> list[range]:
    """A range in pieces of `length`, the last one shorter."""
    return [whole[first : first + length] for first in range(0, len(whole), length)]
