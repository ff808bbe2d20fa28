"""The market's protocol, typed once: what goes over HTTP between broker, buyer, nodes and coordinator.

`message` is how a message is read and written; `catalogue`, `orders`, `queue` and `coordination` are the bodies of the
interface, `tasks` is what coordinator and nodes say to each other through it; `client` sends and `market` names the
endpoints. Normative text: docs/spec/http.md. Needs pydantic, and httpx for the client: `tessera-market[client]`.
"""
