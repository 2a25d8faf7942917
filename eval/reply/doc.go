// Package reply reads what a model wrote to somebody: what of it the other sees ([Visible]),
// and whether it asks or answers ([Read]).
package reply
