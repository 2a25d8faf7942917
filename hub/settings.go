package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// DefaultEndpoint is the Hub itself.
const DefaultEndpoint = "https://huggingface.co"

// Settings are where models come from and where they are kept.
type Settings struct {
	Endpoint string // the server, without a slash at the end
	Cache    Cache
	Token    string // "" asks without one
	Offline  bool   // the cache is all there is
}

// FromEnv reads the settings from the variables that the Hub's Python client reads:
// HF_ENDPOINT; HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME or XDG_CACHE_HOME; HF_TOKEN,
// HUGGING_FACE_HUB_TOKEN or the file HF_TOKEN_PATH that "hf auth login" writes;
// HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE.
func FromEnv(getenv func(string) string) (Settings, error) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	s := Settings{Endpoint: strings.TrimRight(first("HF_ENDPOINT"), "/")}
	if s.Endpoint == "" {
		s.Endpoint = DefaultEndpoint
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return Settings{}, fmt.Errorf("HF_ENDPOINT is %q; it must be an address such as %s", s.Endpoint, DefaultEndpoint)
	}
	home, err := directory(getenv, first("HF_HOME"))
	if err != nil {
		return Settings{}, err
	}
	if home == "" {
		base, err := directory(getenv, first("XDG_CACHE_HOME"))
		if err != nil {
			return Settings{}, err
		}
		if base == "" {
			if base, err = directory(getenv, "~/.cache"); err != nil {
				return Settings{}, err
			}
		}
		home = filepath.Join(base, "huggingface")
	}
	cache, err := directory(getenv, first("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"))
	if err != nil {
		return Settings{}, err
	}
	if cache == "" {
		cache = filepath.Join(home, "hub")
	}
	s.Cache = Cache(cache)
	if s.Token, err = token(getenv, first("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), first("HF_TOKEN_PATH"), home); err != nil {
		return Settings{}, err
	}
	switch strings.ToUpper(first("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")) {
	case "1", "ON", "YES", "TRUE":
		s.Offline = true
	}
	return s, nil
}

// token is the one given, or the one that a login left in a file.
func token(getenv func(string) string, given, path, home string) (string, error) {
	if given = strings.TrimSpace(given); given != "" {
		return given, nil
	}
	path, err := directory(getenv, path)
	if err != nil {
		return "", err
	}
	if path == "" {
		path = filepath.Join(home, "token")
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("the token of the Hub: %w; set HF_TOKEN instead", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// directory expands variables and a leading ~, and makes the path absolute; "" stays "".
func directory(getenv func(string) string, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	path = os.Expand(path, getenv)
	if path == "~" || strings.HasPrefix(path, "~/") {
		home := getenv("HOME")
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return "", fmt.Errorf("where the cache is: %w; set HF_HOME", err)
			}
		}
		path = filepath.Join(home, path[1:])
	}
	return filepath.Abs(path)
}
