"""The address and the browser's back: what a user went to goes before what the page had said before."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import streamlit as st

    from pages._shared import state

    state.adopt_url("Here")
    st.button("next", key="next", on_click=state.act, args=("image", "second"))
    st.button("object", key="object", on_click=state.act, args=("object", "2"))
    st.text(f"{state.get('image', 'none')} {state.get('object', 'none')}")
    if not st.session_state.get("interrupted"):
        state.publish("image", "object")


def _opened(**address: str) -> AppTest:
    app = AppTest.from_function(_page)
    return _goto(app, **address)


def _goto(app: AppTest, **address: str) -> AppTest:
    app.query_params.clear()
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def test_back_takes_over_the_address_of_before() -> None:
    app = _opened(image="first")
    app.button(key="next").click().run()
    assert app.text[0].value == "second none"
    assert _goto(app, image="first").text[0].value == "first none"


def test_back_takes_away_what_the_address_of_before_does_not_name() -> None:
    app = _opened(image="first")
    app.button(key="object").click().run()
    assert app.text[0].value == "first 2"
    assert _goto(app, image="first").text[0].value == "first none"


def test_a_choice_goes_before_the_address_at_which_it_was_made() -> None:
    """The run that would have published it was interrupted by another one, at the same address."""
    app = _opened(image="first")
    app.session_state["interrupted"] = True
    app.button(key="next").click().run()
    app.session_state["interrupted"] = False
    assert app.run().text[0].value == "second none"
    assert app.query_params["image"] == "second"


def test_back_goes_before_a_choice_whose_run_it_interrupted() -> None:
    app = _opened(image="zeroth")
    _goto(app, image="first")
    app.session_state["interrupted"] = True
    app.button(key="next").click().run()
    app.session_state["interrupted"] = False
    assert _goto(app, image="zeroth").text[0].value == "zeroth none"
    assert app.query_params["image"] == "zeroth"
