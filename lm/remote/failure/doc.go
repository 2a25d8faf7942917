// Package failure is what a request to a model server comes to when it does not succeed: an
// answer with a bad status ([StatusError]) or no whole answer ([NoAnswerError]). Transports
// return them and drivers look into them; neither has to know the other.
package failure
