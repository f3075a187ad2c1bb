// Package access says who may do what: tokens, their scopes, and the identity of whoever asks.
//
// # Identities
//
// A request comes from an [Identity]: a token's, or the owner's where it came through the unix socket, which the file
// system guards. What a door has made of a request is in its context ([With], [From]); everything behind the doors asks
// that and nothing else. The zero Identity is nobody's and may do nothing, so that what is forgotten is denied.
//
// # Tokens
//
// A token is 256 random bits behind a public id: "sth_<id>_<secret>". [Tokens] keeps the SHA-256 of it in a file of mode
// 0600 beside the database and compares in constant time; what has so many bits needs no slow hash. Whoever has the file
// cannot make a token of it.
//
// A token has scopes, may be restricted to entities, may expire, and ends at once when it is revoked or rotated:
// [Identity.Done] is how streams learn of it.
package access
