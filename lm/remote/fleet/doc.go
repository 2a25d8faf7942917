// Package fleet brings a role's requests to one or more model servers and answers back, at
// the servers' full speed. It is a transport of lm/remote and knows nothing of models.
//
// Vocabulary. A call is what [Fleet.Post] and [Fleet.Get] do for their caller; an attempt is
// one HTTP exchange of a call with one [Endpoint]. A call waits in a queue, oldest first,
// until an endpoint has a place; then it holds the place until the attempt is over. How an
// attempt ended is its [Outcome]. The load of a call is the tokens it is expected to cost,
// prompt and completion together.
//
// What decides which endpoint takes a call:
//
//   - its concurrency limit, which grows with every answer while it is the bottleneck and
//     shrinks by a tenth when the server says 429, 503 or 529 (AIMD, with a slow start as in
//     TCP; RFC 5681), and its tokens in flight;
//   - requests and tokens per minute, where the endpoint is given such limits;
//   - health: an endpoint that refuses connections, or fails several times with no success
//     between, takes no calls until it answers a probe;
//   - the prefix: calls with a long common beginning go where it is in the cache, unless that
//     endpoint is clearly busier; all others go where the fewest tokens are in flight.
//
// What happens to a failed attempt: 408, 409, 425, 429, 5xx, cut and hung connections are
// tried again, elsewhere if possible, after a randomised exponential pause or what
// Retry-After asks for; a server that is only busy does not use up tries, only time. All other
// statuses come back at once. Errors are those of package failure. Nothing here depends on
// what is asked or answered, and no answer depends on anything here: retries repeat the same
// bytes, and waiting changes order only.
//
// A finished answer is never thrown away: with [Options.Hedge] off, as it is by default, no
// request is paid twice unless its first answer was lost.
package fleet
