package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits on what a server can make us do.
const (
	maxRedirects = 10
	maxListing   = 64 << 20 // bytes of a file list
)

// client speaks the routes of a Hub, one request per call, without retrying.
type client struct {
	endpoint *url.URL
	token    string
	agent    string
	http     *http.Client
}

// newClient makes a client that follows no redirect by itself: net/http would hand the token
// to subdomains, where the signed addresses of large files refuse it.
func newClient(s Settings, agent string) (*client, error) {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("address of the Hub: %w", err)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	t.DisableCompression = true // a range is one of the file's own bytes
	return &client{
		endpoint: u, token: s.Token, agent: agent,
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is a response and the headers of all hops that led to it.
type answer struct {
	*http.Response
	hops []http.Header
}

// header is a value from the last hop that has it.
func (a answer) header(name string) string {
	for i := len(a.hops) - 1; i >= 0; i-- {
		if v := a.hops[i].Get(name); v != "" {
			return v
		}
	}
	return ""
}

// send makes a request and follows redirects: all of them, or only those that stay with the
// endpoint, where the next hop may be a signed address that answers no HEAD. The token goes
// to the endpoint alone.
func (c *client) send(ctx context.Context, method, path string, from int64, leave bool) (answer, error) {
	next, err := c.endpoint.Parse(strings.TrimRight(c.endpoint.EscapedPath(), "/") + path)
	if err != nil {
		return answer{}, fmt.Errorf("address of the Hub: %w", err)
	}
	var a answer
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, method, next.String(), nil)
		if err != nil {
			return answer{}, err
		}
		req.Header.Set("User-Agent", c.agent)
		req.Header.Set("Accept-Encoding", "identity")
		if from > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		}
		if c.token != "" && c.home(next) {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		if a.Response, err = c.http.Do(req); err != nil {
			return answer{}, unreachable(next, err)
		}
		a.hops = append(a.hops, a.Header)
		location := a.Header.Get("Location")
		if a.StatusCode < 300 || a.StatusCode >= 400 || location == "" {
			return a, nil
		}
		to, err := next.Parse(location)
		if err != nil {
			return answer{}, errors.Join(fmt.Errorf("%s redirects to %q: %w", next.Host, location, err), a.Body.Close())
		}
		if !leave && !c.home(to) {
			return a, nil
		}
		if next.Scheme == "https" && to.Scheme != "https" {
			return answer{}, errors.Join(fmt.Errorf("%s redirects to %s, which is not encrypted", next.Host, to.Redacted()), a.Body.Close())
		}
		if err := a.Body.Close(); err != nil {
			return answer{}, unreachable(next, err)
		}
		next = to
	}
	return answer{}, fmt.Errorf("%s redirects more than %d times", c.endpoint.Host, maxRedirects)
}

// home tells whether an address is the endpoint's own.
func (c *client) home(u *url.URL) bool {
	return u.Scheme == c.endpoint.Scheme && u.Host == c.endpoint.Host
}

// list is what the Hub says of a model at a revision: the commit and its files.
func (c *client) list(ctx context.Context, n Name) (string, []entry, error) {
	a, err := c.send(ctx, http.MethodGet, "/api/models/"+n.Repo+"/revision/"+url.PathEscape(n.Revision)+"?blobs=true", 0, false)
	if err != nil {
		return "", nil, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return "", nil, c.refused(a, n, "")
	}
	var info struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Path   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID digest `json:"blobId"`
			LFS    *struct {
				SHA256 digest `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	body, err := io.ReadAll(io.LimitReader(a.Body, maxListing+1))
	if err != nil {
		return "", nil, unreachable(c.endpoint, err)
	}
	if len(body) > maxListing {
		return "", nil, fmt.Errorf("%s: the file list is longer than %d bytes", n, maxListing)
	}
	if err := json.Unmarshal(body, &info); err != nil || !commit.MatchString(info.SHA) {
		return "", nil, fmt.Errorf("%s answers like no Hugging Face Hub (no commit for %s); check HF_ENDPOINT and any proxy", c.endpoint.Redacted(), n)
	}
	files := make([]entry, 0, len(info.Siblings))
	for _, s := range info.Siblings {
		f := entry{Path: s.Path, Size: -1, Sum: s.BlobID}
		if s.Size != nil {
			f.Size = *s.Size
		}
		if s.LFS != nil { // blobId is then that of the pointer
			f.Size, f.Sum = s.LFS.Size, s.LFS.SHA256
		}
		if !f.Sum.valid() {
			f.Sum = ""
		}
		files = append(files, f)
	}
	return info.SHA, files, nil
}

// meta is what the Hub says of a file.
type meta struct {
	etag string
	size int64
}

// head asks for a file's ETag and size at a commit.
func (c *client) head(ctx context.Context, n Name, id string, f entry) (meta, error) {
	a, err := c.send(ctx, http.MethodHead, resolveRoute(n, id, f), 0, false)
	if err != nil {
		return meta{}, err
	}
	if err := a.Body.Close(); err != nil {
		return meta{}, unreachable(c.endpoint, err)
	}
	if a.StatusCode >= 400 {
		return meta{}, c.refused(a, n, f.Path)
	}
	if got := a.header("X-Repo-Commit"); got != id {
		return meta{}, fmt.Errorf("%s gives %s of commit %q instead of %s; check HF_ENDPOINT and any proxy", c.endpoint.Redacted(), f.Path, got, id)
	}
	m := meta{etag: plainETag(a.header("X-Linked-Etag")), size: f.Size}
	if m.etag == "" {
		m.etag = plainETag(a.header("ETag"))
	}
	if !isETag(m.etag) {
		return meta{}, fmt.Errorf("%s gives no usable ETag for %s; check HF_ENDPOINT and any proxy", c.endpoint.Redacted(), f.Path)
	}
	size := a.header("X-Linked-Size")
	if size == "" && a.StatusCode < 300 {
		size = a.Header.Get("Content-Length")
	}
	if told, err := strconv.ParseInt(size, 10, 64); err == nil && told >= 0 {
		m.size = told
	}
	if m.size < 0 {
		return meta{}, fmt.Errorf("%s gives no size for %s; check HF_ENDPOINT and any proxy", c.endpoint.Redacted(), f.Path)
	}
	return m, nil
}

// get asks for the bytes of a file from an offset on.
func (c *client) get(ctx context.Context, n Name, id string, f entry, from int64) (answer, error) {
	a, err := c.send(ctx, http.MethodGet, resolveRoute(n, id, f), from, true)
	if err != nil {
		return answer{}, err
	}
	switch a.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return a, nil
	}
	return answer{}, errors.Join(c.refused(a, n, f.Path), a.Body.Close())
}

func resolveRoute(n Name, id string, f entry) string {
	return "/" + n.Repo + "/resolve/" + id + "/" + url.PathEscape(f.Path)
}

// plainETag is an ETag without quotes and weakness.
func plainETag(s string) string { return strings.Trim(strings.TrimPrefix(s, "W/"), `"`) }

// isETag tells whether an ETag can name a blob.
func isETag(s string) bool {
	return plain(s) && !strings.HasPrefix(s, ".") && len(s) <= 128 && !strings.HasSuffix(s, ".incomplete")
}
