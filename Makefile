.PHONY: all check lint test race bench bench-models bench-prefix bench-fleet compat coverage axe fuzz scale soak slurm-test s3 deploy-check temporal-dev golden parity generate clean

all: check test

check: ## formatting, vet, static build
	@test -z "$$(git ls-files '*.go' | xargs gofmt -l)" || { git ls-files '*.go' | xargs gofmt -l; exit 1; }
	go vet ./...
	CGO_ENABLED=0 go build ./...

lint: ## nothing in workflows that a repetition could see differently
	go run go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0 ./runner/cluster

test: ## what CI runs
	go test ./...

race: ## the tests under the race detector
	CGO_ENABLED=1 go test -race ./...

bench: ## one table: engine speed beside PyTorch and OpenBLAS (apt-get install python3-torch)
	go run ./internal/bench

bench-models: ## shapes of 135 M and 0.5 B parameters beside PyTorch, and a model of 13.5 GB (docs/bench/models.md)
	go run ./internal/bench -models -rounds 3
	go run ./internal/bench -large

bench-prefix: ## operations and time that the prefix cache saves of a nano iteration
	go run ./internal/bench -prefix

bench-fleet: ## remote models: processor time a call, the share of a server's maximum, with and without barriers (docs/bench/fleet.md)
	go test ./lm/remote/fleet -run '^$$' -bench Call -benchtime 50000x
	go test ./lm/remote/fleet -run '^$$' -bench ShareOfMaximum -benchtime 1x
	go test ./lm/remote/fleet -run '^$$' -bench StargateServe -benchtime 7x
	STARGATE_SOAK=1 go test -count=1 -timeout 1h ./lm/remote/fleet -run 'TestNoBarriers|TestReachesTheServersMaximum|TestFaultsChangeNothing' -v

compat: ## what is written, loaded by Hugging Face's libraries where they are installed
	rm -rf bin/compat && go run ./internal/compat -out bin/compat
	/usr/bin/python3 internal/compat/hf_check.py bin/compat
	NODE_PATH=$${NODE_PATH:-node_modules} node internal/compat/hf_check.mjs bin/compat

coverage: ## how often 95 % intervals hold the truth: minutes; writes docs/bench/coverage.md
	STARGATE_COVERAGE=1 go test -count=1 -timeout 3h -run TestLongCoverage -v ./eval/stats -update

axe: ## the pages against the rules of axe-core, in Chromium; needs npm
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && (cd "$$dir" && npm pack --silent axe-core@4.10.2 && tar xzf axe-core-4.10.2.tgz) && \
		STARGATE_AXE="$$dir/package/axe.min.js" go test -count=1 -run TestBrowserAccessible ./report

fuzz: ## every fuzz target, a minute each
	@for pkg in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
		echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 60s $$pkg || exit 1; done; done

scale: ## runs of 10⁴ and 10⁵ conversations on four workers, models scripted; 10⁶ with STARGATE_SCALE=1000000 (docs/scale.md); needs Postgres and make temporal-dev
	STARGATE_SCALE=$${STARGATE_SCALE:-10000,100000} GOMEMLIMIT=$${GOMEMLIMIT:-450MiB} go test -count=1 -timeout 6h -run TestScale -v ./internal/scale

soak: ## kills at random moments, a second world: hours
	STARGATE_SOAK=1 go test -count=1 -timeout 6h -run 'Soak' -v ./...

slurm-test: ## fine-tunes as jobs of a real one-node Slurm, which it installs (Debian) and starts
	./trainer/command/testdata/install-slurm.sh
	go test -tags slurm -count=1 -v -run 'TestSlurm$$' ./trainer/command

s3: ## the shards on a real S3 gateway
	GOBIN=$(CURDIR)/bin go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
	STARGATE_VERSITYGW=$(CURDIR)/bin/versitygw go test -count=1 ./ledger/shard

deploy-check: ## deploy, read by the types and parsers of Kubernetes, Prometheus and Compose: minutes to compile
	cd tools/deploycheck && go vet . && go test .

temporal-dev: ## bin/temporal-dev, the Temporal server for tests of runs on a cluster: about 15 minutes of processor time, once
	./tools/temporal-dev/build

golden: ## rewrite golden files; look at the diff before committing
	go test ./... -run 'Golden' -update

parity: ## make the PyTorch fixtures again (apt-get install python3-torch)
	/usr/bin/python3 internal/llama/testdata/parity/gen.py

generate: ## regenerate the assembly
	go generate ./internal/kernel

clean:
	rm -rf runs bin
