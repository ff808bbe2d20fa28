"""Content stores: bytes by CID. `ports` is the interface; folder, memory and IPFS adapters keep its promises."""
