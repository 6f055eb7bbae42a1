from dragoman.chatkit.memory import MemoryStore
from dragoman.testing.chatkit import store_contract

TestMyStore = store_contract(MemoryStore)
