"""What every endpoint shares: sessions, signed requests, wire types, problem documents."""
