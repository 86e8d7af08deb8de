"""Routes: which function answers which request."""

from parcels.quotes import quote, receipt


def health(query: dict) -> dict:
    """Say that the service runs."""
    return {"status": "ok"}


def price(query: dict) -> dict:
    """Answer with a quote."""
    return quote(int(query["grams"]), int(query.get("pieces", 1)))


def receipt_text(query: dict) -> dict:
    """Answer with a receipt."""
    return {"receipt": receipt(int(query["grams"]), int(query.get("pieces", 1)))}


ROUTES = {
    ("GET", "/health"): health,
    ("GET", "/price"): price,
    ("GET", "/receipt"): receipt_text,
}


def answer(method: str, path: str, query: dict) -> tuple[int, dict]:
    """Return the status and the body of an answer."""
    handler = ROUTES.get((method, path))
    if handler is None:
        return 404, {"error": f"nothing answers {method} {path}"}
    try:
        return 200, handler(query)
    except KeyError as error:
        return 400, {"error": f"{error.args[0]} is missing"}
    except ValueError as error:
        return 400, {"error": str(error)}
