// Package deploycheck checks the files in deploy against the types and parsers of the programs
// that read them: Kubernetes, the Prometheus operator, Prometheus, Compose. It is a module of its
// own, because these take minutes to compile and are no part of the program:
//
//	(cd tools/deploycheck && go test .)
package deploycheck
