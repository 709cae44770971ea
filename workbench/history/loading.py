"""`load`: whatever a user calls data, as datasets whose instruments are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from workbench.history.dataset import Dataset
from workbench.history.loaders import bars_of, quotes_of, trades_of
from workbench.history.messages import is_messages, split_messages
from workbench.history.names import guess_kind
from workbench.history.sources import read_source
from workbench.history.symbols import one_symbol
from workbench.model.commands import DataKind
from workbench.model.data import NO_INSTRUMENT
from workbench.model.errors import ConfigError, DataError, InstrumentError
from workbench.model.identifiers import InstrumentId, parse_instrument_id
from workbench.model.instruments import Instrument

_OF = {DataKind.QUOTES: quotes_of, DataKind.TRADES: trades_of, DataKind.BARS: bars_of}


def load(data: Any, instruments: Sequence[Instrument]) -> list[Dataset]:
    """Return checked datasets, each of one of the instruments.

    Args:
        data: A dataset of `bars`, `quotes` or `trades`; any source these take, whose kind is
            guessed from its columns; a list of these; a list of messages, of which kinds and
            instruments may be mixed; or a dict of instrument (or its id) to any of these. Where
            only one instrument is given, sources that name none are of that one.
        instruments: The definitions.

    Raises:
        DataError: If something cannot be read, is no market data, or its kind or instrument is not
            clear; what is wrong in the data itself is told as by `bars`, `quotes` and `trades`.
        InstrumentError: If data is of an instrument without a definition.

    >>> from workbench.model.instruments import CurrencyPair
    >>> table = {"ts": [1_700_000_000], "bid": [1.0], "ask": [1.2]}
    >>> load(table, [CurrencyPair.define("AUD/USD.SIM")])
    [<quotes AUD/USD.SIM: 1 rows, 2023-11-14T22:13:20Z to 2023-11-14T22:13:20Z>]
    """
    known = {instrument.id: instrument for instrument in instruments}
    only = next(iter(known)) if len(known) == 1 else None
    datasets = [_bound(dataset, known, only) for dataset in _datasets(data)]
    if not datasets:
        raise DataError("no data; pass at least one source or dataset")
    return datasets


def _datasets(data: Any) -> list[Dataset]:
    if isinstance(data, Dataset):
        return [data]
    if is_messages(data):
        return split_messages(data)
    if isinstance(data, list | tuple):
        items = cast("Sequence[Any]", data)
        return [dataset for item in items for dataset in _datasets(item)]
    if isinstance(data, Mapping):
        mapping = cast("Mapping[Any, Any]", data)
        if _is_by_instrument(mapping):
            return [
                dataset.bind(_id_of(key))
                for key, source in mapping.items()
                for dataset in _datasets(source)
            ]
    table = one_symbol(read_source(data))
    return [_OF[guess_kind(table)](table, None)]


def _is_by_instrument(mapping: Mapping[Any, Any]) -> bool:
    return bool(mapping) and all(
        isinstance(key, Instrument) or (isinstance(key, str) and _is_instrument_id(key))
        for key in mapping
    )


def _is_instrument_id(text: str) -> bool:
    try:
        parse_instrument_id(text)
    except ConfigError:
        return False
    return True


def _id_of(key: Instrument | str) -> InstrumentId:
    return key.id if isinstance(key, Instrument) else parse_instrument_id(key)


def _bound(
    dataset: Dataset, known: Mapping[InstrumentId, Instrument], only: InstrumentId | None
) -> Dataset:
    listed = ", ".join(known) or "(none)"
    if not dataset.is_bound:
        if only is None:
            raise DataError(
                f"{dataset.source}: which instrument are these {dataset.kind.value} of? Pass"
                f" {{instrument: data}}, or wb.{dataset.kind.value}(source, instrument);"
                f" defined are {listed}"
            )
        return dataset.bind(only)
    if dataset.kind is DataKind.CUSTOM and dataset.instrument_id == NO_INSTRUMENT:
        return dataset
    if dataset.instrument_id not in known:
        raise InstrumentError(
            f"{dataset.source}: no definition of {dataset.instrument_id}; defined are {listed}."
            " Pass it with instrument= or instruments="
        )
    return dataset
