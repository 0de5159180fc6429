"""What a page of the server hears, for tests that let something happen once it listens, or before it does."""

from playwright.sync_api import Page

# What the page itself listens to, and whether it does yet.
_NEWS = """{
  const { EventSource } = window;
  window.EventSource = class extends EventSource {
    constructor(...given) {
      super(...given);
      window.news = this;
      window.listens = false;
      this.addEventListener("hello", () => { window.listens = true; });
    }
  };
}"""
_LISTEN = """(kind) => {
  window.told = new Promise((hear) => window.news.addEventListener(kind, () => hear(true), { once: true }));
}"""
_ASK = """async () => {
  for (const path of ["health", "labels", "recordings"]) await (await fetch(`api/v1/${path}`)).json();
}"""


class Listening:
    """A page whose news are followed from its next loading on."""

    def __init__(self, page: Page) -> None:
        self._page = page
        page.add_init_script(_NEWS)

    def wait(self) -> None:
        """Until the page listens."""
        self._page.wait_for_function("() => window.listens")

    def begin(self, kind: str) -> None:
        """Note the next piece of news of a kind, once the page listens."""
        self.wait()
        self._page.evaluate(_LISTEN, kind)

    def end(self) -> None:
        """Until that piece of news has come: to the page first, which has listened longer."""
        self._page.evaluate("() => window.told")

    def again(self) -> None:
        """Have the page connect anew, as after a loss, and let it have what it asks for then."""
        self._page.evaluate("dispatchEvent(new Event('online'))")
        self.wait()
        self._page.evaluate(_ASK)
