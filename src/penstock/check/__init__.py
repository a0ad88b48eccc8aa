"""`penstock check`: what would go wrong in production, each with an id, a reason and a fix. Changes nothing."""
