"""Routes: which function answers which request."""

from parcels.quotes import quote, receipt


def health(query: dict) -> dict:
    """Say that the service runs."""
    return {"status": "ok"}


def price(query: dict) -> dict:
    """Answer with a quote."""
    return quote(number(query, "grams"), number(query, "pieces", "1"))


def receipt_text(query: dict) -> dict:
    """Answer with a receipt."""
    return {"receipt": receipt(number(query, "grams"), number(query, "pieces", "1"))}


ROUTES = {
    ("GET", "/health"): health,
    ("GET", "/price"): price,
    ("GET", "/receipt"): receipt_text,
}


def number(query: dict, name: str, default: str = "") -> int:
    """Return a number that the client asked with."""
    text = query.get(name, default)
    if not text:
        raise ValueError(f"{name} is missing")
    return int(text)


def answer(method: str, path: str, query: dict) -> tuple[int, dict]:
    """Return the status and the body of an answer."""
    handler = ROUTES.get((method, path))
    if handler is None:
        return 404, {"error": f"nothing answers {method} {path}"}
    try:
        return 200, handler(query)
    except ValueError as error:
        return 400, {"error": str(error)}
