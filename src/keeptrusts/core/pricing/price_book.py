"""The prices in force: one version per provider and model, looked up by the model asked, else by the model served."""

from collections.abc import Iterable, Iterator, Mapping

from keeptrusts.core.pricing.price import Price


class PriceBook:
    """Immutable index of prices by (provider, model); ``with_prices`` makes the next edition."""

    __slots__ = ("_prices",)

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._prices: Mapping[tuple[str, str], Price] = {(p.provider, p.model): p for p in prices}

    def __len__(self) -> int:
        return len(self._prices)

    def __iter__(self) -> Iterator[Price]:
        return iter(self._prices.values())

    def find(self, provider: str, asked_model: str, served_model: str | None = None) -> Price | None:
        """The price by the model asked of the provider; only when that has none, by the name it was served under."""
        price = self._prices.get((provider, asked_model))
        if price is None and served_model is not None:
            price = self._prices.get((provider, served_model))
        return price

    def with_prices(self, changed: Iterable[Price]) -> "PriceBook":
        """A new book in which ``changed`` replace the older versions of the same provider and model."""
        book = PriceBook()
        book._prices = {**self._prices, **{(p.provider, p.model): p for p in changed}}
        return book
