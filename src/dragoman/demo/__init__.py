"""The demo app: what `dragoman serve --demo` serves, built with nothing but the public API."""
