package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// What callers may branch on. Every message says what to do about it.
var (
	ErrNotFound  = errors.New("not found")
	ErrNoAccess  = errors.New("no access")
	ErrChecksum  = errors.New("damaged download")
	ErrNoSpace   = errors.New("the disk is full")
	ErrReadOnly  = errors.New("the cache cannot be written")
	ErrUnreached = errors.New("cannot be reached")
)

// refused explains a status of the Hub; the codes are those of its X-Error-Code header.
// Without file it was asked for the list.
func (c *client) refused(a answer, n Name, file string) error {
	page := c.endpoint.JoinPath(n.Repo).Redacted()
	what := n.String()
	if file != "" {
		what += ", " + file
	}
	code := a.header("X-Error-Code")
	elsewhere := a.Request != nil && !c.home(a.Request.URL)
	switch {
	case elsewhere, // where a signed address may have expired: the Hub gives another
		a.StatusCode == http.StatusRequestTimeout, a.StatusCode == http.StatusTooManyRequests, a.StatusCode >= 500:
		return &transient{err: fmt.Errorf("%s: %s answers %s", what, a.Request.URL.Host, a.Status), after: retryAfter(a.Header, time.Now())}
	case code == "GatedRepo" && c.token == "":
		return fmt.Errorf("%w to %s: its authors give it to those who ask; accept the conditions on %s, then set HF_TOKEN to a token of yours (%s)", ErrNoAccess, what, page, c.tokens())
	case code == "GatedRepo":
		return fmt.Errorf("%w to %s: accept the conditions on %s with the account of your token, or let the token read gated repositories (%s)", ErrNoAccess, what, page, c.tokens())
	case code == "RevisionNotFound":
		return fmt.Errorf("%w: %s has no revision %q; see %s", ErrNotFound, n.Repo, n.Revision, c.endpoint.JoinPath(n.Repo, "commits", DefaultRevision).Redacted())
	case code == "EntryNotFound":
		return fmt.Errorf("%w: %s", ErrNotFound, what)
	case a.StatusCode == http.StatusUnauthorized && c.token == "":
		return fmt.Errorf("%w to %s: it does not exist, or it is private or gated; check the name on %s, then set HF_TOKEN to a token of yours (%s)", ErrNoAccess, what, page, c.tokens())
	case a.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w to %s: your token is not accepted; make another (%s) and set HF_TOKEN", ErrNoAccess, what, c.tokens())
	case a.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %s; check the name on %s, or set HF_TOKEN if it is private", ErrNotFound, what, page)
	}
	text := a.header("X-Error-Message")
	if text == "" {
		text = "no reason given"
	}
	if a.StatusCode == http.StatusForbidden {
		return fmt.Errorf("%w to %s: %s; let your token read it (%s)", ErrNoAccess, what, text, c.tokens())
	}
	return fmt.Errorf("%s: %s answers %s: %s", what, c.endpoint.Host, a.Status, text)
}

// tokens is where tokens are made.
func (c *client) tokens() string { return c.endpoint.JoinPath("settings", "tokens").Redacted() }

// errStalled is the cause of a request that was given up for its silence.
var errStalled = errors.New("the server went silent")

// unreachable explains a failure below HTTP; the next attempt may not meet it.
func unreachable(u *url.URL, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var wrapped *url.Error // its text repeats the whole address, signature included
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return fmt.Errorf("%s %w: %w; if a proxy of yours inspects traffic, add its certificate to those of the system, or name it in SSL_CERT_FILE", u.Host, ErrUnreached, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the connection was cut")
	}
	return &transient{err: fmt.Errorf("%s %w: %w", u.Host, ErrUnreached, err)}
}

// diskProblem explains a failure of the cache's disk, which is nothing to retry.
func diskProblem(c Cache, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w; free some space and repeat the command, what was downloaded is kept; or set HF_HUB_CACHE to a directory on another disk", ErrNoSpace, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w; make %s writable, or set HF_HUB_CACHE to a directory of yours", ErrReadOnly, err, c)
	}
	return fmt.Errorf("model cache: %w", err)
}
