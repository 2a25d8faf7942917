package tinker

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Config says which server trains.
type Config struct {
	URL       string `yaml:"url"`                   // for example http://localhost:8000; the routes are below /api/v1
	Model     string `yaml:"model"`                 // the base model's name there
	APIKeyEnv string `yaml:"api_key_env,omitempty"` // variable that holds the key (default TINKER_API_KEY, which may be empty)

	SaveEvery int           `yaml:"save_every,omitempty"` // steps between two checkpoints (default: a tenth of all steps)
	Examples  int           `yaml:"examples,omitempty"`   // most examples of a request (default 1024)
	Retries   int           `yaml:"retries,omitempty"`    // how often training goes back to a checkpoint when the server lost something (default 3; negative: never)
	Patience  time.Duration `yaml:"patience,omitempty"`   // with a server that is away or overloaded (default 10 minutes)
	Stall     time.Duration `yaml:"stall,omitempty"`      // a request that takes longer has failed (default 1 hour)

	Concurrency int `yaml:"concurrency,omitempty"` // requests of a sampler in flight (default 64)
}

// Validate says what is wrong, in words that name the field.
func (c Config) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		return errors.New("url is missing: the address of a server that speaks Tinker's protocol")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("url is %q, want http://HOST:PORT or https://HOST", c.URL)
	case c.Model == "":
		return errors.New("model is missing: the base model's name on the server")
	case c.SaveEvery < 0 || c.Examples < 0 || c.Patience < 0 || c.Stall < 0 || c.Concurrency < 0:
		return errors.New("save_every, examples, patience, stall and concurrency are numbers from 0")
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.APIKeyEnv == "" {
		c.APIKeyEnv = "TINKER_API_KEY"
	}
	if c.Examples == 0 {
		c.Examples = 1024
	}
	if c.Retries == 0 {
		c.Retries = 3
	}
	if c.Concurrency == 0 {
		c.Concurrency = 64
	}
	if c.Patience == 0 {
		c.Patience = 10 * time.Minute
	}
	if c.Stall == 0 {
		c.Stall = time.Hour
	}
	return c
}

// perRequest bounds one exchange; a server holds a question about a future for minutes.
const perRequest = 10 * time.Minute

func (c Config) client() (*client, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	return &client{
		base: u.JoinPath("api/v1"), key: os.Getenv(c.APIKeyEnv), patience: c.Patience, stall: c.Stall,
		// An archive's address is answered as a redirect, which must not get the key.
		http: &http.Client{Timeout: perRequest, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}
