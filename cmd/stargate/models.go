package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"stargate/hub"
)

// modelDir is the directory that a --model or MODEL names: a path that exists, or else
// ORG/NAME or ORG/NAME@REVISION in the Hugging Face cache. Every command reads it here.
func modelDir(name string) (string, error) {
	if name == "" {
		return "", nil // the built-in model
	}
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	dir, err := hub.Resolve(name)
	switch {
	case errors.Is(err, hub.ErrName):
		return name, nil // whoever opens it says what is wrong with the path
	case errors.Is(err, hub.ErrNotCached):
		return "", fmt.Errorf("there is no directory %s, and as a model of the Hugging Face Hub it is %w", name, err)
	}
	return dir, err
}

func modelsCommand() *cobra.Command {
	c := &cobra.Command{Use: "models", Short: "Bring models from the Hugging Face Hub, and list those on this machine"}
	c.AddCommand(pullCommand(), listCommand())
	return c
}

// pulled is what pull prints as JSON.
type pulled struct {
	Repo     string `json:"repo"`
	Revision string `json:"revision"`
	Commit   string `json:"commit"`
	Dir      string `json:"dir"`
}

func pullCommand() *cobra.Command {
	var revision string
	var offline, asJSON bool
	c := &cobra.Command{
		Use:   "pull ORG/NAME[@REVISION]",
		Short: "Bring a model from the Hugging Face Hub into the cache",
		Long: `Bring the files of a model that are needed to run and train it into the cache that the
Hugging Face tools use, and print the commit they are of and their directory. Other
commands then take the model as --model ORG/NAME, or pinned as ORG/NAME@COMMIT.

Every file is checked with the checksum that the Hub gives for it. What is there is not
downloaded again; a pull that was stopped goes on where it was.

HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to the
Hugging Face tools.`,
		Example: "  stargate models pull HuggingFaceTB/SmolLM2-135M-Instruct\n  stargate models pull Qwen/Qwen2.5-0.5B-Instruct --revision main --json\n  stargate generate --model HuggingFaceTB/SmolLM2-135M-Instruct 'My name is Ada.'",
		Args:    exactly(1, "one model, ORG/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := hub.ParseName(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			if revision != "" {
				if strings.Contains(args[0], "@") {
					return fmt.Errorf("%w: the revision is given twice, %s and --revision %s", errUsage, args[0], revision)
				}
				if name, err = name.At(revision); err != nil {
					return fmt.Errorf("%w: %w", errUsage, err)
				}
			}
			settings, err := hub.FromEnv(os.Getenv)
			if err != nil {
				return err
			}
			settings.Offline = settings.Offline || offline
			progress := newPullProgress(c.ErrOrStderr(), name.String())
			s, err := hub.Pull(c.Context(), name, hub.Options{Settings: settings, Agent: "stargate/" + buildVersion(), Log: progress.log, Observe: progress.observe})
			progress.close(err == nil)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), pulled{name.Repo, name.Revision, s.Commit, s.Dir})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s@%s\n%s\n", name.Repo, s.Commit, s.Dir)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&revision, "revision", "", "branch, tag or commit (default main)")
	f.BoolVar(&offline, "offline", false, "ask no server: the model must be in the cache")
	f.BoolVar(&asJSON, "json", false, "print repository, commit and directory as JSON")
	return c
}

func listCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the models in the Hugging Face cache",
		Example: "  stargate models list",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			settings, err := hub.FromEnv(os.Getenv)
			if err != nil {
				return err
			}
			all, err := settings.Cache.List()
			if err != nil {
				return err
			}
			if asJSON {
				if all == nil {
					all = []hub.Cached{}
				}
				return printJSON(c.OutOrStdout(), all)
			}
			if len(all) == 0 {
				_, err := fmt.Fprintf(c.OutOrStdout(), "No models in %s. Get one with: stargate models pull ORG/NAME\n", settings.Cache)
				return err
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "MODEL\tREVISION\tCOMMIT\tSIZE")
			for _, m := range all {
				state := ""
				if m.Missing != "" {
					state = ", incomplete: no " + m.Missing
				}
				fmt.Fprintf(w, "%s\t%s\t%.12s\t%s%s\n", m.Repo, strings.Join(m.Revisions, ", "), m.Commit, humanize.Bytes(uint64(m.Bytes)), state)
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}
