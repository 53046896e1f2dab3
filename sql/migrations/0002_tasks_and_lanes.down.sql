drop table model_lane;
drop index embedding_task_failed_idx;
alter table embedding_task drop column strikes;
