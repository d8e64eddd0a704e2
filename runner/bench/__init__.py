"""The figures of this project, each measured beside hand-written baselines in the same run.

`treerunner bench engine` measures executions in process, `treerunner bench runner` those through
Ray. What a run does, from top to bottom:

    cli           options; where tables, JSON and picture go
    engine | through_ray      what is measured, and the figure to reach
    contenders | ray_baselines    ours and the baselines, behind one interface, and their check
    turns         who measures when: round robin, each contender in a process of its own
    workload      the moves that everyone makes, planned from a seed outside of the timed part
    figures       frozen records of what was measured
    tables | picture | environment    what is shown and kept of it
"""
