package cluster

// Names in histories. They stay as they are: a run that goes on after an update of the
// program finds its workflows and activities by them.
const (
	workflowRun   = "stargate.Run"
	workflowStage = "stargate.Stage"

	activityShard  = "stargate.Shard"
	activityTrain  = "stargate.Train"
	activityReport = "stargate.Report"
)

// WorkflowID is the ID of a run's workflow.
func WorkflowID(run string) string { return "stargate/" + run }
