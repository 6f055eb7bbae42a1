from chatkit_first import Parrot

from dragoman import App

app = App("acme", chatkit=Parrot)
