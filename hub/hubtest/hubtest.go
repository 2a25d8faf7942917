// Package hubtest is a Hugging Face Hub for tests: the routes that package hub uses, on two
// local servers as the Hub has them, one with the repositories and one with the bytes of
// large files, and a hook to make both fail.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is a Hub. Change its fields before the first request.
type Server struct {
	URL string // HF_ENDPOINT

	Token string // accepted token; any other is refused with 401
	Gated bool   // files, though not the list, need the token
	Bare  bool   // the list has names only, as it has without ?blobs=true

	// Intercept sees every request before it is answered, and answers it if it returns true.
	Intercept func(w http.ResponseWriter, r *http.Request) bool

	hub, cdn *httptest.Server
	mu       sync.Mutex
	repos    map[string]*repo
	requests []string
}

type repo struct {
	refs    map[string]string // revision to commit
	commits map[string]map[string][]byte
}

// New starts a server; Close it when done.
func New() *Server {
	s := &Server{repos: map[string]*repo{}}
	s.hub = httptest.NewServer(s.watched(s.serveHub))
	s.cdn = httptest.NewServer(s.watched(s.serveCDN))
	s.URL = s.hub.URL
	return s
}

// Close stops it.
func (s *Server) Close() {
	s.hub.Close()
	s.cdn.Close()
}

// Add makes a commit of a repository and lets a branch or tag mean it.
func (s *Server) Add(name, revision string, files map[string][]byte) (commit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil {
		r = &repo{map[string]string{}, map[string]map[string][]byte{}}
		s.repos[name] = r
	}
	h := sha1.New()
	for _, f := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %s\n", f, GitBlob(files[f]))
	}
	commit = hex.EncodeToString(h.Sum(nil))
	r.refs[revision], r.commits[commit] = commit, files
	return commit
}

// Requests are those seen so far, as "GET /path" or "GET /path bytes=5-".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Large tells whether the Hub keeps a file by its SHA-256 and serves it from elsewhere.
func Large(file string) bool {
	return path.Ext(file) == ".safetensors" || file == "tokenizer.json" || file == "tokenizer.model"
}

// GitBlob is the name that git gives to bytes.
func GitBlob(data []byte) string {
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(sum[:])
}

// SHA256 is the name that the Hub gives to the bytes of a large file.
func SHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// ETag is the one of a file, without quotes.
func ETag(file string, data []byte) string {
	if Large(file) {
		return SHA256(data)
	}
	return GitBlob(data)
}

// Cut answers with the first n bytes of what it should, and cuts the connection.
func Cut(w http.ResponseWriter, data []byte, n int) {
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if _, err := w.Write(data[:n]); err == nil {
		_ = http.NewResponseController(w).Flush() // the connection ends in any case
	}
	panic(http.ErrAbortHandler)
}

// IsContent tells whether a request is for the bytes of a file, not for a redirect to them.
func IsContent(r *http.Request, file string) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+file) &&
		(strings.HasPrefix(r.URL.Path, "/cdn/") || strings.HasPrefix(r.URL.Path, "/api/resolve-cache/"))
}

func (s *Server) watched(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.Method + " " + r.URL.Path
		if v := r.Header.Get("Range"); v != "" {
			line += " " + v
		}
		s.mu.Lock()
		s.requests = append(s.requests, line)
		s.mu.Unlock()
		if s.Intercept == nil || !s.Intercept(w, r) {
			next(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", message)
	w.WriteHeader(status)
}

func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	token, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if given && token != s.Token {
		w.Header().Set("X-Error-Message", "Invalid credentials in Authorization header")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/models/"); ok {
		// The revision is one escaped segment: refs%2Fpr%2F1.
		name, revision, ok := strings.Cut(rest, "/revision/")
		if ok {
			s.list(w, name, revision, given)
			return
		}
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/resolve-cache/models/"); ok {
		if p := strings.SplitN(rest, "/", 4); len(p) == 4 {
			s.file(w, r, p[0]+"/"+p[1], p[2], p[3], given)
			return
		}
	}
	if name, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/resolve/"); ok {
		if revision, file, ok := strings.Cut(rest, "/"); ok {
			s.resolve(w, r, name, revision, file, given)
			return
		}
	}
	http.NotFound(w, r)
}

// find gives a commit and its files, or answers why not.
func (s *Server) find(w http.ResponseWriter, name, revision string, trusted bool) (string, map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil {
		status := http.StatusUnauthorized // the Hub does not tell strangers what exists
		if trusted {
			status = http.StatusNotFound
		}
		refuse(w, status, "RepoNotFound", "Repository not found")
		return "", nil
	}
	commit := r.refs[revision]
	if r.commits[revision] != nil {
		commit = revision
	}
	if commit == "" {
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return "", nil
	}
	return commit, r.commits[commit]
}

func (s *Server) list(w http.ResponseWriter, name, revision string, trusted bool) {
	commit, files := s.find(w, name, revision, trusted)
	if files == nil {
		return
	}
	type lfs struct {
		SHA256      string `json:"sha256"`
		Size        int    `json:"size"`
		PointerSize int    `json:"pointerSize"`
	}
	type sibling struct {
		Path   string `json:"rfilename"`
		Size   *int   `json:"size,omitempty"`
		BlobID string `json:"blobId,omitempty"`
		LFS    *lfs   `json:"lfs,omitempty"`
	}
	var siblings []sibling
	for _, f := range slices.Sorted(maps.Keys(files)) {
		x := sibling{Path: f}
		if !s.Bare {
			n := len(files[f])
			x.Size, x.BlobID = &n, GitBlob(files[f])
			if Large(f) {
				x.BlobID, x.LFS = GitBlob([]byte("pointer")), &lfs{SHA256(files[f]), n, 7}
			}
		}
		siblings = append(siblings, x)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]any{"id": name, "sha": commit, "siblings": siblings}); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, name, revision, file string, trusted bool) {
	commit, files := s.find(w, name, revision, trusted)
	if files == nil {
		return
	}
	data, ok := files[file]
	if !ok {
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	if s.Gated && !trusted {
		refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to model "+name+" is restricted")
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	if !Large(file) {
		http.Redirect(w, r, "/api/resolve-cache/models/"+name+"/"+commit+"/"+file, http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("ETag", `"`+GitBlob([]byte("pointer"))+`"`)
	w.Header().Set("X-Linked-Etag", `"`+SHA256(data)+`"`)
	w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
	http.Redirect(w, r, s.cdn.URL+"/cdn/"+name+"/"+commit+"/"+file+"?signature=secret", http.StatusFound)
}

func (s *Server) file(w http.ResponseWriter, r *http.Request, name, commit, file string, trusted bool) {
	_, files := s.find(w, name, commit, trusted)
	if files == nil {
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	w.Header().Set("ETag", `W/"`+GitBlob(files[file])+`"`)
	serve(w, r, files[file])
}

// serveCDN gives the bytes of large files to whoever has the signed address, and like an
// object store refuses a second kind of authorization.
func (s *Server) serveCDN(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" || r.URL.Query().Get("signature") == "" {
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest)
		return
	}
	p := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/cdn/"), "/", 4)
	if len(p) != 4 {
		http.NotFound(w, r)
		return
	}
	_, files := s.find(w, p[0]+"/"+p[1], p[2], true)
	if files == nil {
		return
	}
	w.Header().Set("ETag", `"of the object store"`)
	serve(w, r, files[p[3]])
}

func serve(w http.ResponseWriter, r *http.Request, data []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
